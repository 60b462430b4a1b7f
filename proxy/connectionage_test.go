package proxy_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/proxy"
)

// addresses is a resolver and a network with a server at some of its addresses.
type addresses struct {
	mu      sync.Mutex
	ips     []netip.Addr // what the name resolves to
	servers map[netip.Addr]*pipes
	silent  map[netip.Addr]bool
}

func (a *addresses) lookup(context.Context, string, string) ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ips), nil
}

func (a *addresses) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ip := netip.MustParseAddrPort(addr).Addr()
	a.mu.Lock()
	server, silent := a.servers[ip], a.silent[ip]
	a.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case server == nil:
		return nil, errors.New("connection refused")
	}
	return server.dial(ctx, network, addr)
}

func (a *addresses) resolveTo(ips ...netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ips = ips
}

// startNamed starts a rig in memory whose COS has a name with these addresses, each
// with its own upstream.
func startNamed(t *testing.T, a *addresses, ips ...netip.Addr) (*rig, []*upstream) {
	t.Helper()
	k := newCredentials(1)
	var ups []*upstream
	a.servers = make(map[netip.Addr]*pipes)
	for _, ip := range ips {
		a.servers[ip] = newPipes()
		ups = append(ups, newUpstream(t, a.servers[ip], k, nil))
	}
	r := start(t, setup{creds: k, inMemory: true, options: func(o *proxy.Options) {
		o.Upstream = proxy.Upstream{Dial: a.dial}.LookupWith(a.lookup)
	}})
	return r, ups
}

var (
	ip1 = netip.MustParseAddr("192.0.2.1")
	ip2 = netip.MustParseAddr("192.0.2.2")
	ip3 = netip.MustParseAddr("192.0.2.3")
	ip4 = netip.MustParseAddr("2001:db8::4")
)

// A change of the DNS record takes effect even if the connections are busy, and fails
// no request.
func TestConnectionAge_AddressChanges(t *testing.T) {
	large, _ := sized("PUT /key", 100_000)
	for name, request := range map[string]string{
		"read":         noBody,
		"small upload": "PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest",
		"large upload": large,
		"append":       "POST /key?append&position=0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest",
	} {
		bubble(t, name, func(t *testing.T) {
			a := &addresses{}
			r, ups := startNamed(t, a, ip1, ip2)
			a.resolveTo(ip1)
			c := r.dial(t)
			begun := time.Now()
			lastOld := time.Time{}
			for time.Since(begun) < 6*time.Minute {
				c.send(request)
				if rep := c.reply("PUT"); rep.status != http.StatusOK {
					t.Fatalf("after %s:\n%s%s", time.Since(begun), rep.head, rep.body)
				}
				if old := ups[0].seen(); len(old) > 0 && len(ups[1].seen()) == 0 {
					lastOld = time.Now()
				}
				a.resolveTo(ip2)
				time.Sleep(time.Second)
			}
			if age := lastOld.Sub(begun); age < 4*time.Minute-time.Second || age > 5*time.Minute+time.Second {
				t.Errorf("the old address was used for %s, want 4 to 5 minutes", age)
			}
			if len(ups[1].seen()) == 0 {
				t.Error("the new address is not used")
			}
		})
	}
}

// Connections do not reach their maximum age at the same time.
func TestConnectionAge_Jitter(t *testing.T) {
	const conns = 20
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		lastUsed := make(map[net.Conn]time.Duration)
		begun := time.Now()
		r := startInBubble(t, setup{handle: func(a *arrival) {
			mu.Lock()
			lastUsed[a.conn] = time.Since(begun).Truncate(time.Second)
			mu.Unlock()
			time.Sleep(time.Second) // so that all connections are needed
			take(a)
		}})
		var clients sync.WaitGroup
		for range conns {
			clients.Go(func() {
				for time.Since(begun) < 5*time.Minute+10*time.Second {
					r.get(t, "/key")
				}
			})
		}
		clients.Wait()
		ends := make(map[time.Duration]bool)
		for _, end := range lastUsed {
			ends[end] = true
		}
		if len(ends) < conns/2 {
			t.Errorf("%d connections ended within %d different seconds", conns, len(ends))
		}
	})
}

// New connections use all addresses of a name. An address that refuses or is silent
// fails no request and costs little time.
func TestDial_AllAddressesUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuses, silent := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
		a := &addresses{silent: map[netip.Addr]bool{silent: true}}
		r, ups := startNamed(t, a, ip1, ip2, ip3, ip4)
		a.resolveTo(silent, ip1, ip2, refuses, ip3, ip4)
		for i := range 110 { // 57 min, and the keys live an hour
			begun := time.Now()
			if rep := r.get(t, "/key"+strconv.Itoa(i)); rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			if waited := time.Since(begun); waited > 250*time.Millisecond {
				t.Errorf("connected after %s", waited)
			}
			time.Sleep(31 * time.Second) // until the connection is closed for being idle
		}
		for i, up := range ups {
			if n := len(up.seen()); n == 0 {
				t.Errorf("address %d was never used", i+1)
			}
		}
	})
}

func TestDial_NoAddressResponds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &addresses{silent: map[netip.Addr]bool{ip1: true, ip2: true}}
		r, _ := startNamed(t, a)
		begun := time.Now()
		a.resolveTo(ip1, ip2, ip3)
		if rep := r.get(t, "/key"); rep.status < 500 {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
		if waited := time.Since(begun); waited > 45*time.Second {
			t.Errorf("gave up after %s", waited)
		}
		a.resolveTo()
		if rep := r.get(t, "/key"); rep.status != http.StatusBadGateway {
			t.Errorf("no address: got\n%s%s", rep.head, rep.body)
		}
	})
}
