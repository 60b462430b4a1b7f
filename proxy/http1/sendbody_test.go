package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The origin sends an early response to a body in memory and does not read the rest.
func TestClient_EarlyResponseToBodyInMemory(t *testing.T) {
	released := make(chan struct{})
	u, _ := startOrigin(t, nil, func(o *originConn) {
		o.request()
		o.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		<-released
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	c.wantResponse(c.call("POST", "/", strings.Repeat("x", 64<<20)), 413, "no")
	close(released)
}

func TestClient_LongBodyInMemory(t *testing.T) {
	u, _ := startOrigin(t, nil, (*originConn).echoAll)
	c := newTestClient(t, ClientOptions{Origin: u})
	long := strings.Repeat("0123456789", 400<<10/10)
	for range 2 {
		call := c.call("PUT", "/", long)
		c.wantResponse(call, 200, "PUT / "+long)
		if call.Taken {
			t.Error("Taken is set for a body in memory")
		}
	}
}

func TestClient_MalformedResponseToUpload(t *testing.T) {
	u, _ := startOrigin(t, nil, func(o *originConn) {
		o.request()
		_, _ = io.CopyN(io.Discard, o.r, 100)
		o.send("HTTP/1.1 2x0 OK\r\n\r\n")
		_, _ = io.Copy(io.Discard, o.r)
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	err := c.wantError(c.stream(newPausingSource(strings.Repeat("x", 200)), 1000, false))
	var broken Error
	if !errors.As(err, &broken) || errors.Is(err, ErrOriginClosed) {
		t.Errorf("got %v, want the violated rule", err)
	}
}

// After a panic of the source, the connection is reset and no goroutine is left (goleak).
func TestClient_SourcePanics(t *testing.T) {
	ended := make(chan error, 1)
	u, _ := startOrigin(t, nil, func(o *originConn) {
		_, err := io.Copy(io.Discard, o.Conn)
		ended <- err
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	source := newSource("")
	source.Reader = io.MultiReader(strings.NewReader("some"), panickingReader{})
	value := func() (value any) {
		defer func() { value = recover() }()
		_, _ = c.Do(c.canceler, c.stream(source, 1000, false))
		return nil
	}()
	if fmt.Sprint(value) != "source" {
		t.Fatalf("recovered %v", value)
	}
	if err := within(t, "end of the connection", ended); err == nil {
		t.Error("the connection was closed and not reset")
	}
}

type panickingReader struct{}

func (panickingReader) Read([]byte) (int, error) { panic("source") }

// After an interim response, the origin has received the request, so it is not sent again.
func TestClient_FailureAfterInterimResponse(t *testing.T) {
	for name, interim := range map[string]string{
		"102": "HTTP/1.1 102 Processing\r\n\r\n",
		"101": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			u, conns := startOrigin(t, nil, func(o *originConn) {
				for n := 0; o.request() != nil; n++ {
					if n == 1 {
						o.send(interim)
						return
					}
					o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			c := newTestClient(t, ClientOptions{Origin: u})
			c.wantResponse(c.call("GET", "/", ""), 200, "")
			call := c.call("GET", "/", "")
			call.Repeat = func() bool {
				t.Error("Repeat was called")
				return true
			}
			_ = c.wantError(call)
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestResponse_DiscardLimit(t *testing.T) {
	u, _ := startOrigin(t, nil, func(o *originConn) {
		o.request()
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000))
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	resp, err := c.Do(c.canceler, c.call(http.MethodGet, "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Discard(100, testTimeout)
	if n := resp.Body.Count(); n > 100 {
		t.Errorf("%d bytes were read, the limit is 100", n)
	}
}

// A kept connection whose peer is gone is abandoned also after a long body in memory.
func TestClient_AbandonsSilentConnectionAfterLongBody(t *testing.T) {
	u, conns := startOrigin(t, nil, func(o *originConn) {
		if o.n > 1 {
			o.echoAll()
			return
		}
		o.request()
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, o.Conn)
	})
	c := newTestClient(t, ClientOptions{Origin: u, FirstByteTimeout: 100 * time.Millisecond, StallTimeout: testTimeout})
	c.wantResponse(c.call("GET", "/", ""), 200, "")
	long := strings.Repeat("0123456789", 20<<10)
	call := c.call("POST", "/", long)
	call.Abandon = func(Silence) bool { return true }
	c.wantResponse(call, 200, "POST / "+long)
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// A connection that sent an interim response is not silent.
func TestClient_KeepsConnectionAfterInterimResponse(t *testing.T) {
	u, conns := startOrigin(t, nil, func(o *originConn) {
		for o.request() != nil {
			o.send("HTTP/1.1 102 Processing\r\n\r\n")
			time.Sleep(300 * time.Millisecond)
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	c := newTestClient(t, ClientOptions{Origin: u, FirstByteTimeout: 50 * time.Millisecond})
	for range 2 {
		call := c.call("GET", "/", "")
		call.Abandon = func(Silence) bool {
			t.Error("Abandon is asked")
			return true
		}
		c.wantResponse(call, 200, "")
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// An origin that responds early and then does not read holds up no request.
func TestClient_EarlyResponseEndsBlockedWrite(t *testing.T) {
	u, _ := startOrigin(t, nil, func(o *originConn) {
		o.request()
		time.Sleep(300 * time.Millisecond) // the socket buffers are full by then
		o.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		time.Sleep(testTimeout / 2)
	})
	c := newTestClient(t, ClientOptions{Origin: u, StallTimeout: testTimeout})
	began := time.Now()
	c.wantResponse(c.call("POST", "/", strings.Repeat("x", 64<<20)), 413, "no")
	if took := time.Since(began); took > testTimeout/3 {
		t.Errorf("the response took %v", took)
	}
}

// A response that comes just before the last byte of the body leaves no deadline on the
// connection, which is then used again.
func TestClient_ReusesConnectionAfterResponseDuringBody(t *testing.T) {
	u, conns := startOrigin(t, nil, func(o *originConn) {
		for o.request() != nil {
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.CopyN(io.Discard, o.r, 1000)
		}
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	c.wantResponse(c.stream(&unhurried{interrupted: make(chan struct{})}, 1000, false), 200, "")
	time.Sleep(earlyResponseTimeout + 100*time.Millisecond)
	c.wantResponse(c.stream(&unhurried{interrupted: make(chan struct{})}, 1000, false), 200, "")
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// unhurried is a body of 1000 bytes whose second half comes when it is interrupted, and
// whose interruption has no other effect.
type unhurried struct {
	interrupted chan struct{}
	reads       int
}

func (u *unhurried) Read(p []byte) (int, error) {
	if u.reads++; u.reads == 2 {
		<-u.interrupted
		time.Sleep(20 * time.Millisecond) // the deadline of a blocked write is set after Interrupt
	}
	return copy(p, make([]byte, 500)), nil
}

func (u *unhurried) Interrupt(error) { close(u.interrupted) }
