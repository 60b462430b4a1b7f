package http1

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeout bounds every wait of a test.
const testTimeout = 30 * time.Second

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs a server until the test ends and returns its address.
func serve(t testing.TB, o ServerOptions) (*Server, string) {
	t.Helper()
	s, l := NewServer(o), listen(t)
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(l); !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		s.Close()
		running.Wait()
	})
	return s, l.Addr().String()
}

// peer is a client connection on which a test writes requests by hand.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, address string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, c)
}

func newPeer(t testing.TB, c net.Conn) *peer {
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	t.Cleanup(func() { c.Close() })
	return &peer{Conn: c, t: t, r: bufio.NewReader(c)}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// reply is a response as net/http reads it.
type reply struct {
	StatusCode       int
	Header           http.Header
	ContentLength    int64
	TransferEncoding []string
	Close            bool
}

// readResponse reads a response and its body with net/http.
func (p *peer) readResponse(method string) (rep reply, body string) {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatal(err)
	}
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return reply{resp.StatusCode, resp.Header, resp.ContentLength, resp.TransferEncoding, resp.Close}, string(all)
}

// wantResponse reads a response and checks its status and body.
func (p *peer) wantResponse(method string, status int, body string) reply {
	p.t.Helper()
	resp, got := p.readResponse(method)
	if resp.StatusCode != status || got != body {
		p.t.Fatalf("got %d %q, want %d %q", resp.StatusCode, got, status, body)
	}
	return resp
}

// wantClosed checks that the connection ends without another byte.
func (p *peer) wantClosed() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); len(rest) > 0 || err != nil {
		p.t.Fatalf("got %q and %v, want the end of the connection", rest, err)
	}
}

// wantReset checks that the connection is reset.
func (p *peer) wantReset() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p.r); err == nil {
		p.t.Fatal("the connection was closed, want a reset")
	}
}

// echo responds with method, target and body.
func echo(x *Exchange) {
	body, err := io.ReadAll(&x.Body)
	if err != nil {
		return
	}
	x.Response.Start(200, "OK")
	text := string(x.Request.Method) + " " + string(x.Request.Target) + " " + string(body)
	_ = x.Response.Send(int64(len(text)), []byte(text))
}

// newTestCanceler returns a Canceler that ctx cancels. release stops its goroutine.
func newTestCanceler(ctx context.Context) (c *Canceler, release func()) {
	c = newCanceler(ctx)
	stop := context.AfterFunc(ctx, func() { c.Cancel(context.Cause(ctx)) })
	return c, func() {
		stop()
		c.cancel(context.Canceled)
	}
}

// testCertificate returns a server configuration and a pool with its certificate.
var testCertificate = sync.OnceValues(func() (*tls.Config, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"origin.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}}, pool
})

// eventually waits until cond returns true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatal("timed out waiting for: " + what)
}

// within receives a value from c.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(testTimeout):
		t.Fatal("timed out waiting for: " + what)
		panic("unreachable")
	}
}
