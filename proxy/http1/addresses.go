package http1

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// dialStagger is the delay before the next address of a name is dialed while the
// previous attempt is pending (Connection Attempt Delay, RFC 8305, 5).
const dialStagger = 250 * time.Millisecond

// keepAlive is both the idle time before the first TCP keep-alive probe and the
// interval between probes.
const keepAlive = 15 * time.Second

// nameDialer connects to a host name by trying all of its addresses. Each connection
// starts with a random address, so that the load is spread. A failing or silent
// address delays a connection by dialStagger at most.
type nameDialer struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

func newNameDialer(o ClientOptions) nameDialer {
	d := nameDialer{lookup: o.Lookup, dial: o.Dial}
	if d.lookup == nil {
		d.lookup = net.DefaultResolver.LookupNetIP
	}
	if d.dial == nil {
		d.dial = (&net.Dialer{
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 4},
			Control:         socketOptions(o.StallTimeout),
		}).DialContext
	}
	return d
}

// dialHostPort connects to addr, host:port. The host is a name or an IP address.
func (d nameDialer) dialHostPort(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" { // net.Dial takes "" for the local system
		return d.dial(ctx, network, addr)
	}
	ips, err := d.lookup(ctx, "ip", host)
	if err == nil && len(ips) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	addrs := make([]string, len(ips))
	for i, ip := range interleaveFamilies(ips) {
		addrs[i] = net.JoinHostPort(ip.String(), port)
	}
	return d.dialFirst(ctx, network, addrs)
}

// isOutOfDescriptors reports whether err means that the process (EMFILE) or the system
// (ENFILE) has run out of file descriptors.
func isOutOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// interleaveFamilies returns ips in random order with alternating address families.
// The first family is that of ips[0], which the resolver prefers (RFC 8305, 4).
func interleaveFamilies(ips []netip.Addr) []netip.Addr {
	families := make([][]netip.Addr, 2)
	for _, i := range rand.Perm(len(ips)) {
		ip, other := ips[i].Unmap(), 0
		if ip.Is4() != ips[0].Unmap().Is4() {
			other = 1
		}
		families[other] = append(families[other], ip)
	}
	mixed := make([]netip.Addr, 0, len(ips))
	for i := range ips {
		for _, family := range families {
			if i < len(family) {
				mixed = append(mixed, family[i])
			}
		}
	}
	return mixed
}

// dialFirst returns the first connection that succeeds. It dials the next address
// when an attempt fails, or after dialStagger. If all attempts fail, it returns the
// first error. Connections that succeed too late are closed.
func (d nameDialer) dialFirst(ctx context.Context, network string, addrs []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	var firstErr error
	for next, pending := 0, 0; next < len(addrs) || pending > 0; {
		var stagger <-chan time.Time
		if next < len(addrs) {
			addr := addrs[next]
			go func() {
				c, err := d.dial(ctx, network, addr)
				results <- result{c, err}
			}()
			next, pending = next+1, pending+1
			stagger = time.After(dialStagger)
		}
		if next == len(addrs) {
			stagger = nil
		}
		select {
		case <-stagger:
			continue
		case r := <-results:
			pending--
			if r.err != nil {
				if firstErr == nil {
					firstErr = r.err
				}
				continue
			}
			go func() {
				for range pending {
					if late := <-results; late.err == nil {
						late.conn.Close()
					}
				}
			}()
			return r.conn, nil
		}
	}
	return nil, firstErr
}
