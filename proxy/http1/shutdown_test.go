package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A request that the system has received before Shutdown is served, even if no goroutine
// of the server had time to accept its connection or to read it.
func TestShutdown_PendingRequest(t *testing.T) {
	for _, tt := range []struct {
		name     string
		keptConn bool
		sent     bool
		sentLate bool // after the start of Shutdown
		accepted bool // the server waits for the first request
	}{
		{name: "in the backlog", sent: true},
		{name: "on an idle connection", keptConn: true, sent: true},
		{name: "later, on a new connection", sentLate: true},
		{name: "later, on an accepted connection", sentLate: true, accepted: true},
		{name: "nothing in the backlog's connection"},
		{name: "nothing on an idle connection", keptConn: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := &gatedListener{TCPListener: inner.(*net.TCPListener), accept: make(gate), read: make(gate, 1)}
			s, ended := serveInMemory(t, ServerOptions{Handler: noContent}, l)
			c, err := net.Dial("tcp", inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			responses := bufio.NewReader(c)
			const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
			blocked := l.accept
			if tt.accepted {
				blocked = nil
				close(l.accept)
				for !isWaiting(s) {
					time.Sleep(time.Millisecond)
				}
			}
			if !tt.keptConn {
				close(l.read)
			} else {
				blocked = l.read
				close(l.accept)
				l.read <- struct{}{}
				exchangeOnce(t, c, responses, get)
			}
			if tt.sent {
				if _, err := io.WriteString(c, get); err != nil {
					t.Fatal(err)
				}
			}
			shutdown := make(chan error, 1)
			go func() { shutdown <- s.Shutdown(t.Context()) }()
			for !s.isStopped() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond) // Shutdown looks at the connections after that
			if blocked != nil {
				close(blocked)
			}
			switch {
			case tt.sent:
				exchangeOnce(t, c, responses, "")
			case tt.sentLate:
				time.Sleep(50 * time.Millisecond) // the server waits for the request
				exchangeOnce(t, c, responses, get)
			}
			if b, err := responses.ReadByte(); err == nil {
				t.Errorf("byte %q after the last response", b)
			}
			if err := <-shutdown; err != nil {
				t.Error(err)
			}
			if err := <-ended; !errors.Is(err, ErrServerClosed) {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}

// isWaiting reports whether a connection of s waits for a request.
func isWaiting(s *Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.idleSince.Load() > 0 {
			return true
		}
	}
	return false
}

func exchangeOnce(t *testing.T, c net.Conn, responses *bufio.Reader, request string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(responses, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusNoContent {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// gate blocks calls as if their goroutine did not run.
type gate chan struct{}

// gatedListener is a listener whose Accept, and whose connections' Read, wait at a gate.
type gatedListener struct {
	*net.TCPListener
	accept, read gate
}

func (l *gatedListener) Accept() (net.Conn, error) {
	<-l.accept
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{c.(*net.TCPConn), l.read}, nil
}

type gatedConn struct {
	*net.TCPConn
	gate gate
}

func (c *gatedConn) Read(p []byte) (int, error) {
	<-c.gate
	return c.TCPConn.Read(p)
}
