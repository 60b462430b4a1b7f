package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// command runs a command with an environment and returns its exit code and what it wrote
// to standard error. It must not write to standard output.
func command(t *testing.T, environ []string, args ...string) (code int, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, environ, streams{out: &out, err: &err})
	if out.Len() > 0 {
		t.Errorf("%v wrote %q", args, out.String())
	}
	if strings.Count(err.String(), "\n") > 1 {
		t.Errorf("%v wrote more than one line:\n%s", args, err.String())
	}
	noSecrets(t, err.String())
	return code, err.String()
}

// freePort returns a port that was free a moment ago. Commands cannot use port 0.
func freePort(t *testing.T) string {
	t.Helper()
	ls, err := listenLocalhost("0", net.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll(ls) }()
	return listenerPort(ls[0])
}

// TestHealthcheck_Addresses runs the command with the addresses that cosproxy accepts.
func TestHealthcheck_Addresses(t *testing.T) {
	own := ownAddress(t)
	for name, environ := range map[string][]string{
		"loopback":              {"COSPROXY_ADMIN_LISTEN=127.0.0.1:{port}"},
		"IPv6 loopback":         {"COSPROXY_ADMIN_LISTEN=[::1]:{port}"},
		"localhost":             {"COSPROXY_ADMIN_LISTEN=localhost:{port}"},
		"another loopback":      {"COSPROXY_ADMIN_LISTEN=127.0.0.7:{port}"},
		"all addresses":         {"COSPROXY_ADMIN_LISTEN=:{port}", "COSPROXY_UNSAFE_LISTEN=true"},
		"all IPv4 addresses":    {"COSPROXY_ADMIN_LISTEN=0.0.0.0:{port}", "COSPROXY_UNSAFE_LISTEN=true"},
		"own address":           {"COSPROXY_ADMIN_LISTEN=" + own + ":{port}", "COSPROXY_UNSAFE_LISTEN=true"},
		"Unix socket":           {"COSPROXY_ADMIN_LISTEN=unix://{dir}/admin.sock"},
		"health":                {"COSPROXY_HEALTH_LISTEN=127.0.0.1:{port}", "COSPROXY_ADMIN_LISTEN=off"},
		"health, all addresses": {"COSPROXY_HEALTH_LISTEN=:{port}"},
		"health, all IPv6":      {"COSPROXY_HEALTH_LISTEN=[::]:{port}"},
		"health, Unix socket":   {"COSPROXY_HEALTH_LISTEN=unix://{dir}/health.sock"},
		"TLS":                   append(newPair(t, "a").settings(), "COSPROXY_ADMIN_LISTEN=localhost:{port}"),
		"TLS, health":           append(newPair(t, "a").settings(), "COSPROXY_HEALTH_LISTEN=localhost:{port}"),
		"TLS, Unix socket":      append(newPair(t, "a").settings(), "COSPROXY_ADMIN_LISTEN=unix://{dir}/admin.sock"),
		"client token":          {"COSPROXY_ADMIN_LISTEN=127.0.0.1:{port}", "COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken)},
	} {
		t.Run(name, func(t *testing.T) {
			replace := strings.NewReplacer("{port}", freePort(t), "{dir}", t.TempDir())
			environ := slices.Clone(environ)
			for i, e := range environ {
				environ[i] = replace.Replace(e)
			}
			p := start(t, append(environ, "TENCENTCLOUD_TOKEN="+testToken)...)
			// The certificate is not needed.
			environ = append(environ, "COSPROXY_TLS_KEY_FILE=", "COSPROXY_CLIENT_TOKEN_FILE=")
			for _, args := range [][]string{{"wait"}, {"healthcheck"}, {"healthcheck", "readyz"}, {"healthcheck", "livez"}} {
				if code, text := command(t, environ, args...); code != exitOK || text != "" {
					t.Errorf("%v: exit code %d, %s", args, code, text)
				}
			}
			p.end(t, exitOK)
			if code, text := command(t, environ, "healthcheck", "livez"); code != exitFailure || !strings.Contains(text, "nothing listens there") {
				t.Errorf("after the end: exit code %d, %s", code, text)
			}
		})
	}
}

// TestHealthcheck_Reason checks that a failed probe tells why.
func TestHealthcheck_Reason(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	sts.down.Store(true)
	admin, health := "COSPROXY_ADMIN_LISTEN=127.0.0.1:"+freePort(t), "COSPROXY_HEALTH_LISTEN=127.0.0.1:"+freePort(t)
	p := start(t, "COSPROXY_STS_ENDPOINT="+sts.URL, admin, health)
	p.get(t, p.app, "/uploads/a") // waits for the first fetch
	for _, environ := range [][]string{{admin}, {health}} {
		if code, text := command(t, environ, "healthcheck", "livez"); code != exitOK {
			t.Errorf("%v: livez: %d %s", environ, code, text)
		}
	}
	code, text := command(t, []string{admin}, "healthcheck")
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	contains(t, text, "cosproxy healthcheck: readyz is 503: route default: no valid credentials: sts: AuthFailure.SecretIdNotFound")
	code, text = command(t, []string{health}, "healthcheck", "--wait", "300ms")
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	contains(t, text, "readyz is 503; the reason is in the log of cosproxy, and at /readyz of COSPROXY_ADMIN_LISTEN")
	p.end(t, exitOK)
}

// TestWait_BecomesReady starts the command before cosproxy.
func TestWait_BecomesReady(t *testing.T) {
	listen := "COSPROXY_HEALTH_LISTEN=unix://" + filepath.Join(t.TempDir(), "health.sock")
	done := make(chan int)
	go func() {
		done <- run(t.Context(), []string{"wait"}, []string{listen}, streams{out: t.Output(), err: t.Output()})
	}()
	time.Sleep(2 * pollInterval)
	p := start(t, listen, "TENCENTCLOUD_TOKEN="+testToken)
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	p.end(t, exitOK)
}

// TestHealthcheck_NotCosproxy has other programs at the address.
func TestHealthcheck_NotCosproxy(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel only
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	other := newServer(t, httptest.NewServer, http.NotFound)
	redirect := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
	})
	escape := newServer(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "a\x1b[2Jb\nc\r\u202ed"+strings.Repeat("x", 100*maxReason), http.StatusServiceUnavailable)
	})
	tls := newServer(t, httptest.NewTLSServer, http.NotFound)
	for _, tt := range []struct{ name, address, want string }{
		{"silent", silent.Addr().String(), "no response in time"},
		{"other", other.Listener.Addr().String(), "/readyz has status 404; check that this is the address of cosproxy"},
		{"redirect", redirect.Listener.Addr().String(), "/readyz has status 302"},
		{"escape sequences", escape.Listener.Addr().String(), "readyz is 503: a[2Jb; cdxxx"},
		{"TLS", tls.Listener.Addr().String(), "/readyz has status 400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, text := command(t, []string{"COSPROXY_ADMIN_LISTEN=" + tt.address}, "healthcheck", "--wait", "500ms")
			if code != exitFailure || !strings.Contains(text, tt.want) || len(text) > 2*maxReason {
				t.Errorf("exit code %d, %s", code, text)
			}
		})
	}
}

// TestHealthcheck_OneAttempt checks that a server that does not respond cannot delay a
// probe beyond its timeout.
func TestHealthcheck_OneAttempt(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	began := time.Now()
	if code, _ := command(t, []string{"COSPROXY_HEALTH_LISTEN=" + silent.Addr().String()}, "healthcheck"); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took < ownTimeout || took > 5*time.Second {
		t.Errorf("an attempt took %v, want %v and less than the 5 s of probes", took, ownTimeout)
	}
}

func TestPoll(t *testing.T) {
	reason := errors.New("the reason")
	for _, tt := range []struct {
		name     string
		limit    time.Duration
		attempts []error // nil succeeds; after the last one, an attempt hangs until its context ends
		want     error
		took     time.Duration
	}{
		{"once", 0, []error{reason, nil}, reason, 0},
		{"success", time.Second, []error{nil}, nil, 0},
		{"success after failures", time.Second, []error{reason, reason, nil}, nil, 2 * pollInterval},
		{"the last attempt is cut short", time.Second, []error{reason, reason}, reason, time.Second},
		{"the only attempt is cut short", time.Second, nil, context.DeadlineExceeded, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, left := time.Now(), tt.attempts
				err := poll(t.Context(), tt.limit, func(ctx context.Context) error {
					if len(left) == 0 {
						<-ctx.Done()
						return ctx.Err()
					}
					err := left[0]
					left = left[1:]
					return err
				})
				if took := time.Since(began); !errors.Is(err, tt.want) || took != tt.took {
					t.Errorf("%v after %v, want %v after %v", err, took, tt.want, tt.took)
				}
			})
		})
	}
}

func TestDialable(t *testing.T) {
	for listen, want := range map[string]string{
		":1":            "[127.0.0.1:1 [::1]:1]",
		"localhost:1":   "[127.0.0.1:1 [::1]:1]",
		"0.0.0.0:1":     "[127.0.0.1:1]",
		"[::]:1":        "[[::1]:1 127.0.0.1:1]",
		"127.0.0.2:1":   "[127.0.0.2:1]",
		"[fe80::1%a]:1": "[[fe80::1%a]:1]",
		"unix:///a/b":   "[/a/b]",
	} {
		var a address
		if err := a.UnmarshalText([]byte(listen)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(dialable(a)); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

// connBetween is a connection with these addresses.
type connBetween struct {
	net.Conn
	local, remote net.Addr
	closed        bool
}

func (c *connBetween) LocalAddr() net.Addr  { return c.local }
func (c *connBetween) RemoteAddr() net.Addr { return c.remote }
func (c *connBetween) Close() error         { c.closed = true; return nil }

// TestWithinMachine checks that a request does not leave this machine.
func TestWithinMachine(t *testing.T) {
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	for _, tt := range []struct {
		local, remote net.Addr
		want          bool
	}{
		{tcp("127.0.0.1:50000"), tcp("127.0.0.7:4361"), true},
		{tcp("[::1]:50000"), tcp("[::1]:4361"), true},
		{tcp("10.0.0.5:50000"), tcp("10.0.0.5:4361"), true},
		{tcp("10.0.0.5:50000"), tcp("10.0.0.6:4361"), false},
		{&net.UnixAddr{}, &net.UnixAddr{Name: "/run/admin.sock"}, true},
	} {
		c := &connBetween{local: tt.local, remote: tt.remote}
		got, err := withinMachine(c)
		if (err == nil) != tt.want || (got != nil) != tt.want || c.closed == tt.want {
			t.Errorf("from %v to %v: %v, closed is %t", tt.local, tt.remote, err, c.closed)
		}
	}
}
