package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// originConn is a connection of a scripted origin.
type originConn struct {
	net.Conn
	r *bufio.Reader
	n int // number of the connection, from 1
}

// request reads a request with net/http. It returns nil if the connection ended.
func (o *originConn) request() *http.Request {
	r, err := http.ReadRequest(o.r)
	if err != nil {
		return nil
	}
	return r
}

func (o *originConn) send(text string) { _, _ = io.WriteString(o.Conn, text) }

// echoAll responds to every request with method, target and body.
func (o *originConn) echoAll() {
	for {
		r := o.request()
		if r == nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		text := r.Method + " " + r.RequestURI + " " + string(body)
		if r.Method == http.MethodHead {
			text = ""
		}
		o.send("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text)
	}
}

// startOrigin starts an origin that runs handle for each connection. It returns the
// number of connections, too.
func startOrigin(t testing.TB, config *tls.Config, handle func(*originConn)) (*url.URL, *atomic.Int64) {
	t.Helper()
	l := listen(t)
	u := &url.URL{Scheme: "http", Host: l.Addr().String()}
	if config != nil {
		l, u.Scheme = tls.NewListener(l, config), "https"
	}
	var conns atomic.Int64
	var mu sync.Mutex
	var open []net.Conn
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			n := int(conns.Add(1))
			running.Go(func() {
				defer c.Close()
				handle(&originConn{Conn: c, r: bufio.NewReader(c), n: n})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return u, &conns
}

type testClient struct {
	*Client
	t        testing.TB
	canceler *Canceler
}

func newTestClient(t testing.TB, o ClientOptions) *testClient {
	t.Helper()
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	canceler, release := newTestCanceler(ctx)
	t.Cleanup(func() {
		c.Close()
		release()
		cancel()
	})
	return &testClient{c, t, canceler}
}

// call returns a Call with a body in memory.
func (c *testClient) call(method, target, body string) *Call {
	call := &Call{Method: method, Body: []byte(body)}
	if body == "" {
		call.Body = nil
	}
	call.Head = c.head(method, target, int64(len(body)), false)
	return call
}

// stream returns a Call with a streamed body.
func (c *testClient) stream(body Source, length int64, expect bool) *Call {
	return &Call{Method: "PUT", Head: c.head("PUT", "/s", length, expect), Stream: body, Length: length, Expect: expect}
}

func (c *testClient) head(method, target string, length int64, expect bool) []byte {
	var b Builder
	b.Request(method, c.TargetPrefix()+target)
	b.Field("Host", "origin.test")
	if length > 0 {
		b.Int("Content-Length", length)
	}
	if length == LengthChunked {
		b.Field("Transfer-Encoding", "chunked")
	}
	if expect {
		b.Field("Expect", "100-continue")
	}
	head, err := b.Bytes()
	if err != nil {
		c.t.Fatal(err)
	}
	return head
}

// do sends call and returns the response.
func (c *testClient) do(call *Call) (status int, body string) {
	c.t.Helper()
	resp, err := c.Do(c.canceler, call)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Close()
	all, err := io.ReadAll(&resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.Status, string(all)
}

func (c *testClient) wantResponse(call *Call, status int, body string) {
	c.t.Helper()
	if gotStatus, got := c.do(call); gotStatus != status || got != body {
		c.t.Fatalf("got %d %.60q, want %d %.60q", gotStatus, got, status, body)
	}
}

// wantError returns the error of Do. It fails the test if there is a response.
func (c *testClient) wantError(call *Call) error {
	c.t.Helper()
	resp, err := c.Do(c.canceler, call)
	if err == nil {
		defer resp.Close()
		c.t.Fatalf("got status %d, want an error", resp.Status)
	}
	return err
}

// textSource is a Source. After its text, it blocks until release or Interrupt.
type textSource struct {
	io.Reader
	release     chan struct{} // nil: it does not block
	interrupted chan error
}

func newSource(text string) *textSource {
	return &textSource{Reader: strings.NewReader(text), interrupted: make(chan error, 1)}
}

// newPausingSource returns a source that blocks after text.
func newPausingSource(text string) *textSource {
	s := newSource(text)
	s.release = make(chan struct{})
	return s
}

func (s *textSource) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != io.EOF || s.release == nil {
		return n, err
	}
	select {
	case <-s.release:
		return 0, io.EOF
	case err := <-s.interrupted:
		return 0, err
	case <-time.After(testTimeout):
		return 0, errors.New("the body was not interrupted")
	}
}

func (s *textSource) Interrupt(cause error) { s.interrupted <- cause }

func TestClient_ReusesConnection(t *testing.T) {
	u, conns := startOrigin(t, nil, (*originConn).echoAll)
	c := newTestClient(t, ClientOptions{Origin: u})
	c.wantResponse(c.call("GET", "/a", ""), 200, "GET /a ")
	c.wantResponse(c.call("PUT", "/b", "hello"), 200, "PUT /b hello")
	c.wantResponse(c.call("HEAD", "/c", ""), 200, "")
	c.wantResponse(c.stream(newSource("streamed"), 8, false), 200, "PUT /s streamed")
	c.wantResponse(c.stream(newSource("chunked"), LengthChunked, false), 200, "PUT /s chunked")
	c.wantResponse(c.call("GET", "/d", ""), 200, "GET /d ")
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestClient_ResponseFraming(t *testing.T) {
	for _, tt := range []struct {
		name, method, raw, body string
		err                     bool // reading the body fails
		kept                    bool // the connection is reused
	}{
		{"a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false, true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", false, true},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", "hello", false, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nhello", "hello", false, false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"shorter than announced", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "hello", true, false},
		{"an incomplete chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello", "hello", true, false},
		{"no last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", true, false},
		{"a bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", "hello", true, false},
		{"longer than announced", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", "hello", false, false},
		{"a body after HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "", false, false},
		{"a body after 204", "DELETE", "HTTP/1.1 204 No Content\r\n\r\nhello", "", false, false},
		{"interim responses", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, conns := startOrigin(t, nil, func(o *originConn) {
				if o.n > 1 {
					o.echoAll()
					return
				}
				o.request()
				o.send(tt.raw)
				if tt.kept {
					o.echoAll()
				}
			})
			c := newTestClient(t, ClientOptions{Origin: u})
			resp, err := c.Do(c.canceler, c.call(tt.method, "/", ""))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(&resp.Body)
			resp.Close()
			if string(body) != tt.body || (err != nil) != tt.err || resp.Body.Ended() == tt.err {
				t.Fatalf("read %q and %v, ended %v", body, err, resp.Body.Ended())
			}
			c.wantResponse(c.call("GET", "/next", ""), 200, "GET /next ")
			if n := conns.Load(); (n == 1) != tt.kept {
				t.Errorf("%d connections, kept should be %v", n, tt.kept)
			}
		})
	}
}

func TestClient_InvalidResponse(t *testing.T) {
	for name, raw := range map[string]string{
		"empty":              "",
		"not HTTP":           "SSH-2.0-OpenSSH\r\n\r\n",
		"both lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"an incomplete head": "HTTP/1.1 200 OK\r\nContent-Le",
		"switched":           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"endless interim":    strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100),
		"an endless head":    "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20000),
		"a folded field":     "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"an endless line":    "HTTP/1.1 200 " + strings.Repeat("x", 20000),
		"NUL in a field":     "HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n",
		"chunked HTTP/1.0":   "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an error response":  "HTTP/1.1 4x0 Bad\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			u, _ := startOrigin(t, nil, func(o *originConn) {
				o.request()
				o.send(raw)
			})
			c := newTestClient(t, ClientOptions{Origin: u})
			_ = c.wantError(c.call("GET", "/", "")) // any error
		})
	}
}

// If the origin has closed the idle connection, the client dials a new one, even for
// POST.
func TestClient_ClosedIdleConnection(t *testing.T) {
	ended := make(chan bool)
	u, conns := startOrigin(t, nil, func(o *originConn) {
		if o.n > 1 {
			o.echoAll()
			return
		}
		o.request()
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		o.Close()
		close(ended)
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	c.wantResponse(c.call("POST", "/", ""), 200, "")
	within(t, "the close", ended)
	time.Sleep(20 * time.Millisecond) // until the FIN has arrived
	c.wantResponse(c.call("POST", "/", ""), 200, "POST / ")
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// failSecondRequest responds to the first request of the first connection and closes that
// connection after the second.
func failSecondRequest(o *originConn) {
	if o.n > 1 {
		o.echoAll()
		return
	}
	o.request()
	o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	o.request()
}

func TestClient_Repeat(t *testing.T) {
	asked := 0
	allow := func() bool { asked++; return true }
	refuse := func() bool { asked++; return false }
	for name, tt := range map[string]struct {
		repeat func() bool
		asked  int
		works  bool
	}{
		"allowed": {allow, 1, true},
		"refused": {refuse, 1, false},
		"nil":     {nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			u, _ := startOrigin(t, nil, failSecondRequest)
			c := newTestClient(t, ClientOptions{Origin: u})
			c.wantResponse(c.call("GET", "/", ""), 200, "")
			asked = 0
			call := c.call("POST", "/again", "body")
			call.Repeat = tt.repeat
			if tt.works {
				c.wantResponse(call, 200, "POST /again body")
			} else {
				_ = c.wantError(call) // the error of the connection
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
		})
	}
}

// A failure of a new connection is not retried.
func TestClient_NewConnectionFails(t *testing.T) {
	u, conns := startOrigin(t, nil, func(o *originConn) { o.request() })
	c := newTestClient(t, ClientOptions{Origin: u})
	call := c.call("GET", "/", "")
	call.Repeat = func() bool { t.Error("Repeat was called"); return true }
	_ = c.wantError(call) // the error of the connection
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// Do does not send a request again after it has read from Stream.
func TestClient_FailureAfterStreamRead(t *testing.T) {
	u, _ := startOrigin(t, nil, failSecondRequest)
	c := newTestClient(t, ClientOptions{Origin: u})
	c.wantResponse(c.call("GET", "/", ""), 200, "")
	call := c.stream(newSource("hello"), 5, false)
	call.Repeat = func() bool { return true }
	_ = c.wantError(call) // the error of the connection
	if !call.Taken {
		t.Error("Taken is not set")
	}
}

// Idle connections that died without FIN or reset delay one request by FirstByteTimeout,
// not each of them.
func TestClient_DeadIdleConnections(t *testing.T) {
	var dead atomic.Bool
	u, conns := startOrigin(t, nil, func(o *originConn) {
		before := !dead.Load()
		for o.request() != nil {
			if before && dead.Load() {
				continue
			}
			time.Sleep(20 * time.Millisecond)
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	c := newTestClient(t, ClientOptions{Origin: u, FirstByteTimeout: 200 * time.Millisecond})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			canceler, release := newTestCanceler(context.Background())
			defer release()
			resp, err := c.Do(canceler, c.call("GET", "/", ""))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Close()
		})
	}
	all.Wait()
	dead.Store(true)
	before, begin := conns.Load(), time.Now()
	for range 4 {
		call := c.call("GET", "/", "")
		call.Repeat, call.Abandon = func() bool { return true }, func(Silence) bool { return true }
		c.wantResponse(call, 200, "")
	}
	if n := conns.Load() - before; n != 1 || time.Since(begin) > 2*time.Second {
		t.Errorf("%d new connections in %v, want 1", n, time.Since(begin))
	}
}

func TestClient_Expect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  string // sent after the head of the request
		verdict Verdict
		body    bool // the origin reads the body
	}{
		{"continued", "HTTP/1.1 100 Continue\r\n\r\n", Continued, true},
		{"hints first", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", Continued, true},
		{"silent", "", Silent, true},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", Early, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, _ := startOrigin(t, nil, func(o *originConn) {
				r := o.request()
				o.send(tt.before)
				if !tt.body {
					_, _ = io.Copy(io.Discard, o.r)
					return
				}
				body, _ := io.ReadAll(r.Body)
				o.send("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body))
			})
			c := newTestClient(t, ClientOptions{Origin: u, ContinueTimeout: 50 * time.Millisecond})
			call := c.stream(newSource("hello"), 5, true)
			resp, err := c.Do(c.canceler, call)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Close()
			body, _ := io.ReadAll(&resp.Body)
			if call.Verdict != tt.verdict || call.Taken != tt.body || tt.body && string(body) != "hello" || !tt.body && string(body) != "no" {
				t.Errorf("verdict %d, taken %v, body %q", call.Verdict, call.Taken, body)
			}
		})
	}
}

func TestClient_EarlyResponse(t *testing.T) {
	u, _ := startOrigin(t, nil, func(o *originConn) {
		o.request()
		_, _ = io.CopyN(io.Discard, o.r, 100)
		o.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, o.r)
	})
	c := newTestClient(t, ClientOptions{Origin: u})
	c.wantResponse(c.stream(newPausingSource(strings.Repeat("x", 200)), 1000, false), 403, "no")
	c.wantResponse(c.stream(newPausingSource(strings.Repeat("x", 200)), LengthChunked, false), 403, "no")
}

// The client notices at once if the origin closes the connection while the source blocks.
func TestClient_OriginClosesWhileSourcePauses(t *testing.T) {
	for name, linger := range map[string]int{"reset": 0, "closed": -1} {
		t.Run(name, func(t *testing.T) {
			u, _ := startOrigin(t, nil, func(o *originConn) {
				o.request()
				_, _ = io.CopyN(io.Discard, o.r, 200)
				_ = o.Conn.(*net.TCPConn).SetLinger(linger)
			})
			c := newTestClient(t, ClientOptions{Origin: u})
			err := c.wantError(c.stream(newPausingSource(strings.Repeat("x", 200)), 1000, false))
			var source *SourceError
			if errors.As(err, &source) {
				t.Errorf("got a SourceError: %v", err)
			}
		})
	}
}

func TestClient_SourceFails(t *testing.T) {
	for name, length := range map[string]int64{"a length": 1000, "chunked": LengthChunked} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			u, _ := startOrigin(t, nil, func(o *originConn) {
				_, err := io.ReadAll(o.request().Body)
				got <- err
			})
			c := newTestClient(t, ClientOptions{Origin: u})
			broken := errors.New("broken")
			source := newSource("")
			source.Reader = io.MultiReader(strings.NewReader(strings.Repeat("x", 200)), failingReader{broken})
			err := c.wantError(c.stream(source, length, false))
			var failed *SourceError
			if !errors.As(err, &failed) || !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
			if err := within(t, "the origin", got); err == nil {
				t.Error("the origin received a complete body")
			}
		})
	}
	t.Run("too short", func(t *testing.T) {
		u, _ := startOrigin(t, nil, func(o *originConn) { _, _ = io.Copy(io.Discard, o.r) })
		c := newTestClient(t, ClientOptions{Origin: u})
		if err := c.wantError(c.stream(newSource("hello"), 6, false)); !errors.Is(err, ErrBodyLength) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("longer than announced", func(t *testing.T) {
		u, _ := startOrigin(t, nil, (*originConn).echoAll)
		c := newTestClient(t, ClientOptions{Origin: u})
		c.wantResponse(c.stream(newSource("hello, and more"), 5, false), 200, "PUT /s hello")
	})
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func TestClient_Timeouts(t *testing.T) {
	t.Run("no response", func(t *testing.T) {
		u, _ := startOrigin(t, nil, func(o *originConn) { _, _ = io.Copy(io.Discard, o.r) })
		c := newTestClient(t, ClientOptions{Origin: u, StallTimeout: 50 * time.Millisecond})
		if err := c.wantError(c.call("GET", "/", "")); !errors.Is(err, ErrNoResponse) {
			t.Errorf("a request without a body: %v", err)
		}
		if err := c.wantError(c.stream(newSource("hello"), 5, false)); !errors.Is(err, ErrNoResponse) {
			t.Errorf("a request with a stream: %v", err)
		}
	})
	t.Run("stalled response", func(t *testing.T) {
		u, _ := startOrigin(t, nil, func(o *originConn) {
			o.request()
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello")
			_, _ = io.Copy(io.Discard, o.r)
		})
		c := newTestClient(t, ClientOptions{Origin: u, StallTimeout: 50 * time.Millisecond})
		resp, err := c.Do(c.canceler, c.call("GET", "/", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		if _, err := io.ReadAll(&resp.Body); !errors.Is(err, ErrStalled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("origin does not read", func(t *testing.T) {
		u, _ := startOrigin(t, nil, func(o *originConn) {
			o.request()
			time.Sleep(500 * time.Millisecond)
		})
		c := newTestClient(t, ClientOptions{Origin: u, StallTimeout: 50 * time.Millisecond})
		if err := c.wantError(c.stream(newSource(strings.Repeat("x", 64<<20)), 64<<20, false)); !errors.Is(err, ErrStalled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("response after FirstByteTimeout", func(t *testing.T) {
		u, _ := startOrigin(t, nil, func(o *originConn) {
			for o.request() != nil {
				time.Sleep(300 * time.Millisecond)
				o.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		c := newTestClient(t, ClientOptions{Origin: u, FirstByteTimeout: 100 * time.Millisecond, StallTimeout: 5 * time.Second})
		for range 2 {
			c.wantResponse(c.call("GET", "/", ""), 200, "") // Abandon is nil, so Do waits
		}
	})
}

func TestClient_Cancel(t *testing.T) {
	cause := errors.New("cause")
	for name, call := range map[string]func(*testClient) *Call{
		"response": func(c *testClient) *Call { return c.call("GET", "/", "") },
		"continue": func(c *testClient) *Call { return c.stream(newSource("x"), 1, true) },
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan bool, 1)
			u, _ := startOrigin(t, nil, func(o *originConn) {
				o.request()
				arrived <- true
				_, _ = io.Copy(io.Discard, o.r)
			})
			c := newTestClient(t, ClientOptions{Origin: u, ContinueTimeout: time.Minute})
			go func() {
				<-arrived
				c.canceler.Cancel(cause)
			}()
			if err := c.wantError(call(c)); !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
			if err := c.wantError(call(c)); !errors.Is(err, cause) {
				t.Errorf("the next request: %v", err)
			}
		})
	}
	t.Run("body", func(t *testing.T) {
		u, _ := startOrigin(t, nil, func(o *originConn) {
			o.request()
			o.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			_, _ = io.Copy(io.Discard, o.r)
		})
		c := newTestClient(t, ClientOptions{Origin: u})
		resp, err := c.Do(c.canceler, c.call("GET", "/", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		c.canceler.Cancel(cause)
		if _, err := io.ReadAll(&resp.Body); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
	})
}

func TestClient_TLSSessionResumption(t *testing.T) {
	config, pool := testCertificate()
	resumed := make(chan bool, 3)
	u, _ := startOrigin(t, config, func(o *originConn) {
		if r := o.request(); r == nil {
			return
		}
		resumed <- o.Conn.(*tls.Conn).ConnectionState().DidResume
		o.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	})
	c := newTestClient(t, ClientOptions{Origin: u, TLS: &tls.Config{RootCAs: pool}})
	for i := range 3 {
		c.wantResponse(c.call("GET", "/", ""), 200, "")
		if got := within(t, "the request", resumed); got != (i > 0) {
			t.Errorf("connection %d: resumed %v", i, got)
		}
	}
}

func TestClient_LargeBodiesOverTLS(t *testing.T) {
	config, pool := testCertificate()
	u, conns := startOrigin(t, config, (*originConn).echoAll)
	c := newTestClient(t, ClientOptions{Origin: u, TLS: &tls.Config{RootCAs: pool}})
	long := strings.Repeat("0123456789abcdef", 256<<10)
	for range 2 {
		c.wantResponse(c.stream(newSource(long), int64(len(long)), false), 200, "PUT /s "+long)
		c.wantResponse(c.stream(newSource(long), LengthChunked, false), 200, "PUT /s "+long)
		c.wantResponse(c.call("GET", "/", ""), 200, "GET / ")
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if n := len(largeSlots); n != 0 {
		t.Errorf("%d large buffers are still in use", n)
	}
}

func TestClient_UntrustedCertificate(t *testing.T) {
	config, _ := testCertificate()
	u, _ := startOrigin(t, config, (*originConn).echoAll)
	c := newTestClient(t, ClientOptions{Origin: u})
	var unknown *tls.CertificateVerificationError
	if err := c.wantError(c.call("GET", "/", "")); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

func TestClient_MaxAge(t *testing.T) {
	u, conns := startOrigin(t, nil, (*originConn).echoAll)
	c := newTestClient(t, ClientOptions{Origin: u, MaxAge: 50 * time.Millisecond})
	c.wantResponse(c.call("GET", "/", ""), 200, "GET / ")
	time.Sleep(60 * time.Millisecond)
	c.wantResponse(c.call("GET", "/", ""), 200, "GET / ")
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestClient_IdleTimeout(t *testing.T) {
	ended := make(chan bool)
	u, _ := startOrigin(t, nil, func(o *originConn) {
		o.echoAll()
		close(ended)
	})
	c := newTestClient(t, ClientOptions{Origin: u, IdleTimeout: 50 * time.Millisecond})
	c.wantResponse(c.call("GET", "/", ""), 200, "GET / ")
	within(t, "end of the idle connection", ended)
}

func TestClient_HTTPProxy(t *testing.T) {
	proxy, _ := startOrigin(t, nil, func(o *originConn) {
		r := o.request()
		if r.URL.String() != "http://origin.test:81/a" || r.Header.Get("Proxy-Authorization") != "" {
			t.Errorf("the proxy got %s %v", r.URL, r.Header)
		}
		o.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		o.echoAll()
	})
	proxy.User = url.UserPassword("user", "pass")
	c := newTestClient(t, ClientOptions{
		Origin: &url.URL{Scheme: "http", Host: "origin.test:81"},
		Proxy:  func(*url.URL) (*url.URL, error) { return proxy, nil },
	})
	if c.ProxyAuthorization() != "Basic dXNlcjpwYXNz" {
		t.Errorf("Proxy-Authorization is %q", c.ProxyAuthorization())
	}
	c.wantResponse(c.call("GET", "/a", ""), 200, "ok")
}

func TestClient_CONNECT(t *testing.T) {
	config, pool := testCertificate()
	for name, response := range map[string]string{
		"200":                        "HTTP/1.1 200 Connection established\r\n\r\n",
		"200 with an ignored length": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"407":                        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			proxy, _ := startOrigin(t, nil, func(o *originConn) {
				r := o.request()
				if r.Method != http.MethodConnect || r.RequestURI != "origin.test:443" || r.Host != "origin.test:443" || r.Header.Get("Proxy-Authorization") != "Basic dXNlcjpwYXNz" {
					t.Errorf("the proxy got %s %s %v", r.Method, r.RequestURI, r.Header)
				}
				o.send(response)
				conn := tls.Server(o.Conn, config)
				(&originConn{Conn: conn, r: bufio.NewReader(conn)}).echoAll()
			})
			proxy.User = url.UserPassword("user", "pass")
			c := newTestClient(t, ClientOptions{
				Origin: &url.URL{Scheme: "https", Host: "origin.test"},
				TLS:    &tls.Config{RootCAs: pool},
				Proxy:  func(*url.URL) (*url.URL, error) { return proxy, nil },
			})
			if strings.HasPrefix(name, "200") {
				c.wantResponse(c.call("GET", "/a", ""), 200, "GET /a ")
				return
			}
			if err := c.wantError(c.call("GET", "/a", "")); !strings.Contains(err.Error(), "407") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestClient_DialFails(t *testing.T) {
	l := listen(t)
	l.Close()
	c := newTestClient(t, ClientOptions{Origin: &url.URL{Scheme: "http", Host: l.Addr().String()}})
	var op *net.OpError
	if err := c.wantError(c.call("GET", "/", "")); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("got %v", err)
	}
}

// ETIMEDOUT of the kernel is not a deadline.
func TestIsDeadline(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true},
		{os.ErrDeadlineExceeded, true},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, false},
		{context.DeadlineExceeded, false},
		{io.EOF, false},
	} {
		if got := isDeadline(tt.err); got != tt.want {
			t.Errorf("isDeadline(%v) = %v", tt.err, got)
		}
	}
}
