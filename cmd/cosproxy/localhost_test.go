package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// hasIPv6 reports whether this machine has ::1.
func hasIPv6(t *testing.T) bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if isFamilyMissing(err) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return true
}

func TestLocalhost_BothFamilies(t *testing.T) {
	p := start(t, "COSPROXY_LISTEN=localhost:0", "COSPROXY_ADMIN_LISTEN=localhost:0", "TENCENTCLOUD_TOKEN="+testToken)
	name, hosts := "localhost", []string{"127.0.0.1", "::1"}
	if !hasIPv6(t) {
		name, hosts = "127.0.0.1", hosts[:1]
	}
	for address, want := range map[string]int{p.app: http.StatusForbidden, p.admin: http.StatusNotFound} {
		host, port, err := net.SplitHostPort(address)
		if err != nil || host != name || port == "0" {
			t.Errorf("the start line has %q, want %s and a port", address, name)
		}
		for _, host := range hosts {
			if status, _ := p.get(t, net.JoinHostPort(host, port), "/outside"); status != want {
				t.Errorf("port %s of %s responded with %d, want %d", port, host, status, want)
			}
		}
	}
	p.client.CloseIdleConnections()
	p.end(t, exitOK)
	for _, address := range []string{p.app, p.admin} {
		_, port, _ := net.SplitHostPort(address)
		for _, host := range hosts {
			if c, err := net.Dial("tcp", net.JoinHostPort(host, port)); err == nil {
				c.Close()
				t.Errorf("port %s of %s is still open", port, host)
			}
		}
	}
}

func TestLocalhost_TLS(t *testing.T) {
	p := start(t, append(newPair(t, "localhost").settings(), "COSPROXY_LISTEN=localhost:0", "TENCENTCLOUD_TOKEN="+testToken)...)
	hosts := []string{"127.0.0.1", "::1"}
	if !hasIPv6(t) {
		hosts = hosts[:1]
	}
	_, port, _ := net.SplitHostPort(p.app)
	for _, host := range hosts {
		if status := p.secureGet(t, net.JoinHostPort(host, port), "/outside"); status != http.StatusForbidden {
			t.Errorf("%s responded with %d", host, status)
		}
	}
}

// fakeFamilies simulates net.Listen on a machine where some addresses fail.
type fakeFamilies struct {
	fails map[string]error // by host; the error of a host ends after left failures
	left  int
	calls []string
	open  []*fakeListener
}

type fakeListener struct {
	net.Listener
	addr   *net.TCPAddr
	closed bool
}

func (l *fakeListener) Addr() net.Addr { return l.addr }
func (l *fakeListener) Close() error   { l.closed = true; return nil }

func (f *fakeFamilies) listen(network, address string) (net.Listener, error) {
	f.calls = append(f.calls, network+" "+address)
	at, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, err
	}
	if err := f.fails[at.IP.String()]; err != nil && f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "listen", Net: network, Addr: at, Err: os.NewSyscallError("bind", err)}
	}
	if at.Port == 0 {
		at.Port = 5000 + len(f.calls)
	}
	l := &fakeListener{addr: at}
	f.open = append(f.open, l)
	return l, nil
}

func TestLocalhost_Families(t *testing.T) {
	const always = 1000
	for _, tt := range []struct {
		name  string
		port  string
		fails map[string]error
		left  int
		want  string // the open listeners
		err   error
	}{
		{"both families", "4360", nil, 0, "127.0.0.1:4360 [::1]:4360", nil},
		{"one free port for both", "0", nil, 0, "127.0.0.1:5001 [::1]:5001", nil},
		{"no IPv6 in the kernel", "4360", map[string]error{"::1": syscall.EAFNOSUPPORT}, always, "127.0.0.1:4360", nil},
		{"no IPv6 address", "0", map[string]error{"::1": syscall.EADDRNOTAVAIL}, always, "127.0.0.1:5001", nil},
		{"no IPv4", "4360", map[string]error{"127.0.0.1": syscall.EADDRNOTAVAIL}, always, "[::1]:4360", nil},
		{"no family", "4360", map[string]error{"127.0.0.1": syscall.EAFNOSUPPORT, "::1": syscall.EAFNOSUPPORT}, always, "", syscall.EAFNOSUPPORT},
		{"port in use in IPv6", "4360", map[string]error{"::1": syscall.EADDRINUSE}, always, "", syscall.EADDRINUSE},
		{"port in use in IPv4", "4360", map[string]error{"127.0.0.1": syscall.EADDRINUSE}, always, "", syscall.EADDRINUSE},
		{"no right to the port", "80", map[string]error{"::1": syscall.EACCES}, always, "", syscall.EACCES},
		{"free port in use in IPv6 twice", "0", map[string]error{"::1": syscall.EADDRINUSE}, 2, "127.0.0.1:5005 [::1]:5005", nil},
		{"every free port in use in IPv6", "0", map[string]error{"::1": syscall.EADDRINUSE}, always, "", syscall.EADDRINUSE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeFamilies{fails: tt.fails, left: tt.left}
			ls, err := listenLocalhost(tt.port, f.listen)
			if !errors.Is(err, tt.err) {
				t.Errorf("got error %v, want %v", err, tt.err)
			}
			var got []string
			for _, l := range ls {
				got = append(got, l.Addr().String())
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("listens on %v, want %s; calls %v", got, tt.want, f.calls)
			}
			for _, l := range f.open {
				if kept := slices.Contains(ls, net.Listener(l)); kept == l.closed {
					t.Errorf("%v: returned %v, closed %v", l.addr, kept, l.closed)
				}
			}
		})
	}
}

// TestLocalhost_InUseInOneFamily checks that one family alone is an error.
func TestLocalhost_InUseInOneFamily(t *testing.T) {
	host := "::1"
	if !hasIPv6(t) {
		host = "127.0.0.1"
	}
	inUse, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	log := runFailing(t, "COSPROXY_LISTEN=localhost:"+listenerPort(inUse))
	contains(t, log, "COSPROXY_LISTEN:", inUse.Addr().String(), "address already in use", "use another one")
}
