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

// dialStagger is the delay before the next address of a name is tried while the
// one before has not responded yet (RFC 8305, 5).
const dialStagger = 250 * time.Millisecond

// keepAlive is both the idle time before TCP keep-alive probes and the time between
// two of them.
const keepAlive = 15 * time.Second

// nameDialer connects to a name over all of its addresses: each connection starts
// with a random one, and a failing or silent address costs little time.
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

// dialName connects to addr, which is host:port.
func (d nameDialer) dialName(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" { // which means this machine
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
	for i, ip := range spread(ips) {
		addrs[i] = net.JoinHostPort(ip.String(), port)
	}
	return d.dialFirst(ctx, network, addrs)
}

// isOutOfDescriptors reports whether err says that the process (EMFILE) or the system
// (ENFILE) has no file descriptor left.
func isOutOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// spread returns ips in random order, the two families in turn, beginning with
// the family that the resolver prefers (RFC 8305, 4).
func spread(ips []netip.Addr) []netip.Addr {
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

// dialFirst returns the first connection that any of addrs gives. The next address
// is dialed when one has failed, or after dialStagger. If all fail, it returns the
// first error.
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
		var later <-chan time.Time
		if next < len(addrs) {
			addr := addrs[next]
			go func() {
				c, err := d.dial(ctx, network, addr)
				results <- result{c, err}
			}()
			next, pending = next+1, pending+1
			later = time.After(dialStagger)
		}
		if next == len(addrs) {
			later = nil
		}
		select {
		case <-later:
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
