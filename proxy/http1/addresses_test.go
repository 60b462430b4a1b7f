package http1

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	ip1 = netip.MustParseAddr("192.0.2.1")
	ip2 = netip.MustParseAddr("192.0.2.2")
	ip3 = netip.MustParseAddr("2001:db8::3")
	ip4 = netip.MustParseAddr("2001:db8::4")
)

// The families alternate, beginning with the first one of the resolver.
func TestInterleaveFamilies(t *testing.T) {
	mapped := netip.MustParseAddr("::ffff:192.0.2.1")
	for range 20 {
		got := interleaveFamilies([]netip.Addr{ip4, ip2, mapped, ip3})
		if len(got) != 4 || got[0].Is4() || !got[1].Is4() || got[2].Is4() || !got[3].Is4() || !slices.Contains(got, ip1) {
			t.Errorf("order %v", got)
		}
		got = interleaveFamilies([]netip.Addr{ip2, ip3, ip4, ip1})
		if len(got) != 4 || !got[0].Is4() || got[1].Is4() || !got[2].Is4() || got[3].Is4() {
			t.Errorf("order %v", got)
		}
		got = interleaveFamilies([]netip.Addr{ip2, ip3, ip4})
		if len(got) != 3 || got[0] != ip2 || got[1].Is4() || got[2].Is4() {
			t.Errorf("order %v", got)
		}
	}
	if got := interleaveFamilies(nil); len(got) != 0 {
		t.Errorf("order of no addresses: %v", got)
	}
}

// Each address of the first family is equally likely to be first.
func TestInterleaveFamilies_FirstAddress(t *testing.T) {
	first := make(map[netip.Addr]int)
	for range 200 {
		first[interleaveFamilies([]netip.Addr{ip1, ip2, ip3})[0]]++
	}
	if first[ip1] < 50 || first[ip2] < 50 || first[ip3] != 0 {
		t.Errorf("the first addresses are %v", first)
	}
}

// network is a network in memory with a configured behavior per address.
type network struct {
	addrs []netip.Addr // result of every lookup
	err   error        // result of every lookup

	connectsIn map[netip.Addr]time.Duration
	failsIn    map[netip.Addr]time.Duration // an address in neither map does not respond

	mu     sync.Mutex
	dialed []netip.Addr
	open   atomic.Int64
}

func (n *network) options() ClientOptions {
	return ClientOptions{
		Origin: &url.URL{Scheme: "http", Host: "origin.test"},
		Dial:   n.dial,
		Lookup: func(context.Context, string, string) ([]netip.Addr, error) { return n.addrs, n.err },
	}
}

// errRefused is the error of an address in failsIn.
type errRefused struct{ addr netip.Addr }

// Error implements error.
func (e errRefused) Error() string { return e.addr.String() + ": connection refused" }

// dialedAddrs returns the addresses dialed so far, in order.
func (n *network) dialedAddrs() []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dialed)
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	addr := netip.MustParseAddrPort(address).Addr()
	n.mu.Lock()
	n.dialed = append(n.dialed, addr)
	n.mu.Unlock()
	if delay, ok := n.connectsIn[addr]; ok {
		time.Sleep(delay) // even if ctx ends: a connection may succeed at the same moment
		here, there := net.Pipe()
		go func() { _, _ = there.Read(make([]byte, 1)); there.Close() }()
		return countOpen(here, &n.open), nil
	}
	if delay, ok := n.failsIn[addr]; ok {
		time.Sleep(delay)
		return nil, errRefused{addr}
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDialHostPort(t *testing.T) {
	const soon, late = 10 * time.Millisecond, time.Second
	errLookup := errors.New("no such host")
	for _, tt := range []struct {
		name   string
		net    *network
		host   string // "": origin.test:80
		err    error
		took   time.Duration
		dialed []netip.Addr // nil: not checked
	}{
		{"first connects", &network{addrs: []netip.Addr{ip1, ip3}, connectsIn: map[netip.Addr]time.Duration{ip1: soon}}, "", nil, soon, []netip.Addr{ip1}},
		{"first fails", &network{addrs: []netip.Addr{ip1, ip3}, failsIn: map[netip.Addr]time.Duration{ip1: soon}, connectsIn: map[netip.Addr]time.Duration{ip3: soon}},
			"", nil, 2 * soon, []netip.Addr{ip1, ip3}},
		{"first is silent", &network{addrs: []netip.Addr{ip1, ip3}, connectsIn: map[netip.Addr]time.Duration{ip3: soon}},
			"", nil, dialStagger + soon, []netip.Addr{ip1, ip3}},
		{"first is slow", &network{addrs: []netip.Addr{ip3, ip1}, connectsIn: map[netip.Addr]time.Duration{ip3: dialStagger + soon, ip1: late}},
			"", nil, dialStagger + soon, []netip.Addr{ip3, ip1}},
		{"second is faster", &network{addrs: []netip.Addr{ip3, ip1}, connectsIn: map[netip.Addr]time.Duration{ip3: late, ip1: soon}},
			"", nil, dialStagger + soon, []netip.Addr{ip3, ip1}},
		{"first is silent, second fails", &network{addrs: []netip.Addr{ip1, ip3, ip2}, failsIn: map[netip.Addr]time.Duration{ip3: soon}, connectsIn: map[netip.Addr]time.Duration{ip1: late, ip2: late}},
			"", nil, late, nil},
		{"all fail", &network{addrs: []netip.Addr{ip3, ip1}, failsIn: map[netip.Addr]time.Duration{ip1: soon, ip3: soon}}, "", errRefused{ip3}, 2 * soon, []netip.Addr{ip3, ip1}},
		{"all fail late", &network{addrs: []netip.Addr{ip3, ip1}, failsIn: map[netip.Addr]time.Duration{ip1: soon, ip3: late}}, "", errRefused{ip1}, late, []netip.Addr{ip3, ip1}},
		{"the only address fails", &network{addrs: []netip.Addr{ip3}, failsIn: map[netip.Addr]time.Duration{ip3: soon}}, "", errRefused{ip3}, soon, []netip.Addr{ip3}},
		{"lookup fails", &network{err: errLookup}, "", errLookup, 0, nil},
		{"address", &network{err: errLookup, connectsIn: map[netip.Addr]time.Duration{ip3: soon}}, "[2001:db8::3]:80", nil, soon, []netip.Addr{ip3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.host == "" {
					tt.host = "origin.test:80"
				}
				began := time.Now()
				c, err := newNameDialer(tt.net.options()).dialHostPort(t.Context(), "tcp", tt.host)
				if took := time.Since(began); !errors.Is(err, tt.err) || took != tt.took {
					t.Errorf("error %v after %v, want %v after %v", err, took, tt.err, tt.took)
				}
				if got := tt.net.dialedAddrs(); tt.dialed != nil && !slices.Equal(got, tt.dialed) {
					t.Errorf("dialed %v, want %v", got, tt.dialed)
				}
				if c == nil {
					return
				}
				time.Sleep(2 * late)
				if n := tt.net.open.Load(); n != 1 {
					t.Errorf("%d connections are open", n)
				}
				c.Close()
			})
		})
	}
}

func TestDialHostPort_NoAddresses(t *testing.T) {
	_, err := newNameDialer((&network{}).options()).dialHostPort(t.Context(), "tcp", "origin.test:80")
	var notFound *net.DNSError
	if !errors.As(err, &notFound) || !notFound.IsNotFound {
		t.Errorf("error %v", err)
	}
}

// DialTimeout bounds the attempts on all addresses together.
func TestClient_AllAddressesSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{addrs: []netip.Addr{ip1, ip2, ip3, ip4}}
		o := n.options()
		o.DialTimeout = 3 * time.Second
		c := newTestClient(t, o)
		began := time.Now()
		_, err := c.Do(c.canceler, c.call("GET", "/", ""))
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != o.DialTimeout {
			t.Errorf("error %v after %v", err, took)
		}
		if got := n.dialedAddrs(); len(got) != 4 {
			t.Errorf("dialed %v", got)
		}
	})
}

// Cancel ends all attempts to connect.
func TestClient_CanceledWhileDialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{addrs: []netip.Addr{ip1, ip2}}
		c := newTestClient(t, n.options())
		time.AfterFunc(time.Second, func() { c.canceler.Cancel(ErrClientGone) })
		began := time.Now()
		_, err := c.Do(c.canceler, c.call("GET", "/", ""))
		if took := time.Since(began); !errors.Is(err, ErrClientGone) || took != time.Second {
			t.Errorf("error %v after %v", err, took)
		}
	})
}

// dialFirst returns the first error, so EMFILE must not be hidden by a later one.
func TestClient_OutOfDescriptorsForEachAddress(t *testing.T) {
	o := (&network{addrs: []netip.Addr{ip1, ip3}}).options()
	dialed := 0
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		dialed++
		return nil, outOfDescriptors("socket")
	}
	c := newTestClient(t, o)
	if _, err := c.Do(c.canceler, c.call("GET", "/", "")); !errors.Is(err, syscall.EMFILE) || dialed != 4 {
		t.Errorf("error %v after %d attempts", err, dialed)
	}
}
