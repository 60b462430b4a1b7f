package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const get = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestServer_KeepAliveAndPipelining(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: echo})
	c := dial(t, address)
	put := "PUT /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
	chunked := "POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	c.send(get + put + chunked + "\r\n\r\n" + get)
	c.wantResponse("GET", 200, "GET /a ")
	c.wantResponse("PUT", 200, "PUT /b hello")
	c.wantResponse("POST", 200, "POST /c abc")
	c.wantResponse("GET", 200, "GET /a ")
	c.send(strings.Replace(get, "Host", "Connection: close\r\nHost", 1))
	if resp := c.wantResponse("GET", 200, "GET /a "); !resp.Close {
		t.Error("the response has no Connection: close")
	}
	c.wantClosed()
}

func TestServer_HTTP10(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		x.Response.Start(200, "OK")
		_ = x.Response.Send(-1, []byte("unknown length"))
	}})
	c := dial(t, address)
	c.send("GET / HTTP/1.0\r\n\r\n")
	resp, body := c.readResponse("GET")
	if body != "unknown length" || resp.TransferEncoding != nil || !resp.Close {
		t.Errorf("got %q, coding %v", body, resp.TransferEncoding)
	}
	_, address = serve(t, ServerOptions{Handler: echo})
	c = dial(t, address)
	for range 2 {
		c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if resp := c.wantResponse("GET", 200, "GET / "); resp.Header.Get("Connection") != "keep-alive" {
			t.Error("the response has no Connection: keep-alive")
		}
	}
}

func TestServer_NoResponseBody(t *testing.T) {
	status := 200
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		x.Response.Start(status, "")
		_ = x.Response.Send(5, []byte("he"))
		_, _ = x.Response.Write([]byte("llo"))
	}})
	c := dial(t, address)
	c.send(strings.Replace(get, "GET", "HEAD", 1))
	if resp := c.wantResponse("HEAD", 200, ""); resp.ContentLength != 5 {
		t.Errorf("Content-Length %d, want 5", resp.ContentLength)
	}
	for _, status = range []int{204, 304} {
		c.send(get)
		c.wantResponse("GET", status, "")
	}
	status = 200
	c.send(get)
	c.wantResponse("GET", 200, "hello")
}

func TestServer_Chunked(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		x.Response.Start(200, "OK")
		_ = x.Response.Send(-1, []byte("first"))
		for _, s := range []string{"", "a", long} {
			_, _ = io.WriteString(&x.Response, s)
		}
	}})
	c := dial(t, address)
	for range 2 {
		c.send(get)
		c.wantResponse("GET", 200, "firsta"+long)
	}
}

func TestServer_WrongLength(t *testing.T) {
	for name, handler := range map[string]func(*Exchange){
		"shorter": func(x *Exchange) {
			x.Response.Start(200, "")
			_ = x.Response.Send(5, []byte("hell"))
		},
		"longer": func(x *Exchange) {
			x.Response.Start(200, "")
			_ = x.Response.Send(5, []byte("hell"))
			if _, err := x.Response.Write([]byte("ooo")); !errors.Is(err, ErrBodyLength) {
				t.Errorf("a body that is too long: %v", err)
			}
		},
		"longer at once": func(x *Exchange) {
			x.Response.Start(200, "")
			_ = x.Response.Send(5, []byte("hellooo"))
		},
		"no response": func(*Exchange) {},
		"a bad field": func(x *Exchange) {
			x.Response.Start(200, "")
			x.Response.Field("X", "a\r\nb")
			_ = x.Response.Send(0, nil)
		},
		"aborted": func(x *Exchange) {
			x.Response.Start(200, "")
			_ = x.Response.Send(-1, []byte("hell"))
			x.Response.Abort()
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, address := serve(t, ServerOptions{Handler: handler})
			for _, request := range []string{get, "GET / HTTP/1.0\r\n\r\n"} {
				c := dial(t, address)
				c.send(request)
				c.wantReset()
			}
		})
	}
}

// rejectWithRule responds with the name of the rule.
func rejectWithRule(x *Exchange, err Error) {
	x.Response.Start(err.Status(), "")
	_ = x.Response.Send(int64(len(err.Rule)), []byte(err.Rule))
}

func TestServer_InvalidRequest(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: echo, Reject: rejectWithRule})
	for text, want := range map[string]int{
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get: 400,
		"GET / HTTP/1.1\r\n\r\n" + get:                                             400,
		"GET / HTTP/3\r\n\r\n":                                                     505,
		"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n":             501,
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: x\r\n\r\nabc":   417,
		"GET /" + strings.Repeat("a", 20<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n":     414,
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 200) + "\r\n": 431,
	} {
		c := dial(t, address)
		c.send(text)
		if resp, _ := c.readResponse("GET"); resp.StatusCode != want || !resp.Close {
			t.Errorf("%.40q: status %d, close %v; want %d", text, resp.StatusCode, resp.Close, want)
		}
		c.wantClosed()
	}
	c := dial(t, address)
	c.send("GET / HTTP/1.1\r\nHost: lo")
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if resp, body := c.readResponse("GET"); resp.StatusCode != http.StatusBadRequest || body != string(RuleCut) {
		t.Errorf("an incomplete head: %d %s", resp.StatusCode, body)
	}
}

func TestServer_Expect(t *testing.T) {
	read := true
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		if read {
			echo(x)
			return
		}
		x.Response.Start(403, "")
		_ = x.Response.Send(0, nil)
	}})
	const head = "PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	c := dial(t, address)
	for range 2 {
		c.send(head)
		if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, want 100 Continue", line)
		}
		if line, _ := c.r.ReadString('\n'); line != "\r\n" {
			t.Fatalf("%q follows 100 Continue, want an empty line", line)
		}
		c.send("hello")
		c.wantResponse("PUT", 200, "PUT /e hello")
	}
	read = false
	c.send(head)
	if resp := c.wantResponse("PUT", 403, ""); !resp.Close {
		t.Error("the connection persists, although the body may follow or not")
	}
}

// A client that reads only after it has sent its whole body receives the response.
func TestServer_LingeringClose(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		x.Response.Start(403, "")
		_ = x.Response.Send(0, nil)
	}})
	c := dial(t, address)
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
	piece := strings.Repeat("x", 100000)
	for range 40 {
		c.send(piece)
	}
	c.wantResponse("PUT", 403, "")
}

// The connection persists if the handler does not read a body that is buffered.
func TestServer_BufferedBodyNotRead(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		x.Response.Start(403, "")
		_ = x.Response.Send(0, nil)
	}})
	c := dial(t, address)
	for range 2 {
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
		if resp := c.wantResponse("PUT", 403, ""); resp.Close {
			t.Error("the connection is closed, although the whole body was buffered")
		}
	}
}

func TestServer_HalfClose(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		stop := x.Watch()
		select {
		case <-x.Context().Done():
			t.Error("the request of a half-closed client was canceled")
		case <-time.After(50 * time.Millisecond):
		}
		stop()
		echo(x)
	}})
	for request, want := range map[string]string{
		get:                      "GET /a ",
		"GET / HTTP/1.0\r\n\r\n": "GET / ",
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello": "PUT / hello",
	} {
		c := dial(t, address)
		c.send(request)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		c.wantResponse("GET", 200, want)
		c.wantClosed()
	}
}

func TestServer_IncompleteBody(t *testing.T) {
	failed := make(chan error, 1)
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		_, err := io.ReadAll(&x.Body)
		failed <- err
		x.Response.Start(400, "")
		_ = x.Response.Send(0, nil)
	}})
	for _, request := range []string{
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
		"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		c := dial(t, address)
		c.send(request)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		if err := within(t, "the end of the body", failed); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the incomplete body ends in %v", err)
		}
		c.wantResponse("PUT", 400, "")
	}
}

func TestServer_WatchReset(t *testing.T) {
	waiting, gone := make(chan bool), make(chan error, 1)
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		defer x.Watch()()
		waiting <- true
		<-x.Context().Done()
		gone <- context.Cause(x.Context())
	}})
	c := dial(t, address)
	c.send(get)
	within(t, "the handler", waiting)
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	if err := within(t, "the cause", gone); !errors.Is(err, ErrClientGone) {
		t.Errorf("the cause is %v", err)
	}
}

// Watch does not consume the next request of a pipeline.
func TestServer_WatchPipelinedRequest(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		stop := x.Watch()
		time.Sleep(20 * time.Millisecond)
		stop()
		echo(x)
	}})
	c := dial(t, address)
	c.send(get)
	time.Sleep(5 * time.Millisecond)
	c.send("PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
	c.wantResponse("GET", 200, "GET /a ")
	c.send("lo")
	c.wantResponse("PUT", 200, "PUT /b hello")
}

func TestServer_Timeouts(t *testing.T) {
	_, address := serve(t, ServerOptions{
		Reject: rejectWithRule, HeaderTimeout: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond, StallTimeout: 100 * time.Millisecond,
		Handler: func(x *Exchange) {
			_, err := io.ReadAll(&x.Body)
			x.Response.Start(400, "")
			_ = x.Response.Send(int64(len(err.Error())), []byte(err.Error()))
		},
	})
	t.Run("idle", func(t *testing.T) { dial(t, address).wantClosed() })
	t.Run("slow head", func(t *testing.T) {
		c := dial(t, address)
		go sendSlowly(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("y", 1000))
		c.wantResponse("GET", 408, string(RuleTimeout))
	})
	t.Run("silent body", func(t *testing.T) {
		c := dial(t, address)
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell")
		c.wantResponse("PUT", 400, ErrStalled.Error())
	})
	t.Run("slow body", func(t *testing.T) {
		c := dial(t, address)
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
		go sendSlowly(c, strings.Repeat("y", 1000))
		c.wantResponse("PUT", 400, ErrStalled.Error())
	})
}

// sendSlowly sends a byte every 5 ms until the connection ends.
func sendSlowly(c *peer, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(c.Conn, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A slow body is accepted as long as it makes MinProgress per StallTimeout.
func TestServer_SlowBody(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: echo, StallTimeout: 200 * time.Millisecond})
	c := dial(t, address)
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
	for range 30 {
		c.send(strings.Repeat("x", 2000))
		time.Sleep(20 * time.Millisecond)
	}
	c.wantResponse("PUT", 200, "PUT / "+strings.Repeat("x", 60000))
}

func TestServer_ClientDoesNotRead(t *testing.T) {
	failed := make(chan error, 1)
	_, address := serve(t, ServerOptions{StallTimeout: 100 * time.Millisecond, Handler: func(x *Exchange) {
		x.Response.Start(200, "")
		err := x.Response.Send(1<<40, nil)
		for piece := make([]byte, 1<<20); err == nil; {
			_, err = x.Response.Write(piece)
		}
		failed <- err
	}})
	c := dial(t, address)
	c.send(get)
	if err := within(t, "the stall", failed); !errors.Is(err, ErrStalled) {
		t.Errorf("the error is %v", err)
	}
}

func TestServer_Panic(t *testing.T) {
	panicked := make(chan any, 1)
	_, address := serve(t, ServerOptions{
		Handler:  func(*Exchange) { panic("oops") },
		Panicked: func(value any, stack []byte) { panicked <- value },
	})
	for range 2 {
		c := dial(t, address)
		c.send(get)
		c.wantReset()
		if v := within(t, "the panic", panicked); v != "oops" {
			t.Errorf("Panicked was called with %v", v)
		}
	}
}

func TestServer_Shutdown(t *testing.T) {
	started, release := make(chan bool), make(chan bool)
	s, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		if string(x.Request.Target) == "/slow" {
			started <- true
			<-release
		}
		echo(x)
	}})
	idle, fresh, busy := dial(t, address), dial(t, address), dial(t, address)
	idle.send(get)
	idle.wantResponse("GET", 200, "GET /a ")
	busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	within(t, "the slow request", started)

	s.LastRequests()
	fresh.send(get)
	if resp := fresh.wantResponse("GET", 200, "GET /a "); !resp.Close {
		t.Error("a response after LastRequests has no Connection: close")
	}
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.wantClosed()
	if _, err := net.Dial("tcp", address); err == nil {
		eventually(t, "the listener closes", func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
	}
	close(release)
	if resp := busy.wantResponse("GET", 200, "GET /slow "); !resp.Close {
		t.Error("the last response has no Connection: close")
	}
	if err := within(t, "Shutdown", done); err != nil {
		t.Error(err)
	}
}

func TestServer_Close(t *testing.T) {
	started := make(chan bool)
	s, address := serve(t, ServerOptions{Handler: func(x *Exchange) {
		started <- true
		_, err := io.ReadAll(&x.Body)
		<-x.Context().Done()
		if !errors.Is(err, ErrServerClosed) || !errors.Is(context.Cause(x.Context()), ErrServerClosed) {
			t.Errorf("Read failed with %v, the cause is %v", err, context.Cause(x.Context()))
		}
		x.Response.Start(503, "")
		_ = x.Response.Send(0, nil)
	}})
	c := dial(t, address)
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell")
	within(t, "the request", started)
	go s.Close()
	c.wantResponse("PUT", 503, "")
}

func TestServer_MaxConns(t *testing.T) {
	_, address := serve(t, ServerOptions{Handler: echo, MaxConns: 3})
	var all []*peer
	for range 10 {
		c := dial(t, address)
		c.send(get)
		c.wantResponse("GET", 200, "GET /a ")
		all = append(all, c)
	}
	all[0].wantClosed()
	last := all[len(all)-1]
	last.send(get)
	last.wantResponse("GET", 200, "GET /a ")
}

func TestServer_TLS(t *testing.T) {
	config, pool := testCertificate()
	_, address := serve(t, ServerOptions{Reject: rejectWithRule, TLS: config, Handler: func(x *Exchange) {
		if !x.TLS() {
			t.Error("TLS returned false")
		}
		echo(x)
	}})
	raw, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	c := newPeer(t, raw)
	long := strings.Repeat("0123456789abcdef", 64<<10)
	for range 2 {
		c.send("PUT /t HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n" + long)
		c.wantResponse("PUT", 200, "PUT /t "+long)
	}
	c.send(get)
	_ = raw.CloseWrite()
	c.wantResponse("GET", 200, "GET /a ")

	plain := dial(t, address)
	plain.send(get)
	plain.wantResponse("GET", 400, string(RulePlain))
}

// HandshakeFailed is called for an invalid handshake, but not for a TCP probe.
func TestServer_HandshakeFailed(t *testing.T) {
	config, _ := testCertificate()
	failed := make(chan error, 9)
	_, address := serve(t, ServerOptions{Handler: echo, TLS: config, HandshakeFailed: func(_ net.Addr, err error) { failed <- err }})
	for _, linger := range []int{-1, 0} {
		c := dial(t, address)
		_ = c.Conn.(*net.TCPConn).SetLinger(linger)
		c.Close()
	}
	c := dial(t, address)
	c.send("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00") // a ClientHello of one byte
	if err := within(t, "the report", failed); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a client that sent nothing is reported: %v", err)
	}
	if len(failed) > 0 {
		t.Errorf("another failure is reported: %v", <-failed)
	}
}

// Each chunk is one write, and the first chunk is written with the head.
func TestServer_WritesPerChunk(t *testing.T) {
	l := &countingListener{Listener: listen(t)}
	large := strings.Repeat("x", 2*smallPieceSize)
	serveInMemory(t, ServerOptions{Handler: func(x *Exchange) {
		x.Response.Start(200, "OK")
		_ = x.Response.Send(-1, []byte("first"))
		for _, part := range []string{"second", large} {
			_, _ = x.Response.Write([]byte(part))
		}
	}}, l)
	c := dial(t, l.Addr().String())
	c.send(get)
	c.wantResponse("GET", 200, "firstsecond"+large)
	// The head with "first", "second", the large chunk in three writes, since countingConn
	// is not a socket that supports writev, and the last chunk.
	if n := l.writes.Load(); n > 6 {
		t.Errorf("%d writes", n)
	}
}

// countingListener counts the writes to its connections.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

// Accept implements net.Listener.
func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, &l.writes}, err
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

// Write implements net.Conn.
func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}
