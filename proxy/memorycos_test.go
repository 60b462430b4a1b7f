package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cosproxy/proxy"
	"cosproxy/proxy/http1"
)

// memoryCOS is a proxy in memory whose COS accepts every complete request. One serves
// all inputs of a fuzz target: fuzzing is slow if the same input takes different paths,
// as it does with sockets.
type memoryCOS struct {
	clients *pipes
	cos     *pipes
	running sync.WaitGroup

	mu    sync.Mutex
	got   *arrival // the last request that was not a preflight
	conns []net.Conn
}

func startMemoryCOS(t testing.TB, routes []proxy.Route) *memoryCOS {
	t.Helper()
	m := &memoryCOS{clients: newPipes(), cos: newPipes()}
	p, err := proxy.New(proxy.Options{Routes: routes, Upstream: proxy.Upstream{ConnectTo: "192.0.2.1:80", Dial: m.cos.dial}})
	if err != nil {
		t.Fatal(err)
	}
	server := p.NewServer(proxy.ServerOptions{})
	m.running.Go(m.accept)
	m.running.Go(func() { _ = server.Serve(m.clients) })
	t.Cleanup(func() { m.stop(server, p) })
	return m
}

func (m *memoryCOS) stop(server *http1.Server, p *proxy.Proxy) {
	server.Close()
	p.Close()
	_ = m.cos.Close() // always nil
	m.mu.Lock()
	for _, c := range m.conns {
		c.Close()
	}
	m.mu.Unlock()
	m.running.Wait()
}

func (m *memoryCOS) accept() {
	for {
		c, err := m.cos.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.conns = append(m.conns, c)
		m.mu.Unlock()
		m.running.Go(func() { m.serve(c) })
	}
}

// serve responds with 200 to each complete request.
func (m *memoryCOS) serve(c net.Conn) {
	defer c.Close()
	in := &tap{r: c}
	r := bufio.NewReader(in)
	for {
		in.head, in.done = nil, false
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		a := &arrival{Request: req, head: string(in.head), conn: c, reader: r}
		if err := a.readBody(); err != nil {
			return
		}
		if req.RequestURI != "/?location" { // which tries the key of a large form
			m.mu.Lock()
			m.got = a
			m.mu.Unlock()
		}
		a.respond(ok)
	}
}

// ask sends raw bytes on their own connection. It returns the status of the response,
// zero without one, its body, and what COS received.
func (m *memoryCOS) ask(t *testing.T, raw string) (status int, body string, got *arrival) {
	t.Helper()
	m.mu.Lock()
	m.got = nil
	m.mu.Unlock()
	c, err := m.clients.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	var sending sync.WaitGroup
	sending.Go(func() { _, _ = io.WriteString(c, raw) })
	defer sending.Wait()
	defer c.Close()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		var text bytes.Buffer
		_, _ = text.ReadFrom(resp.Body)
		resp.Body.Close()
		status, body = resp.StatusCode, text.String()
	} else if strings.Contains(err.Error(), "timeout") {
		t.Errorf("%q: no response came", raw)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return status, body, m.got
}

// wireValue is text as a field value: without line ends and without blanks around it
// (RFC 9110, 5.5).
func wireValue(text string) string {
	return strings.Trim(strings.NewReplacer("\r", ".", "\n", ".").Replace(text), " \t")
}

// isValue reports whether text can be the value of a header field (RFC 9110, 5.5).
func isValue(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// rawHead is a response head with any status. A status below 100 or above 999 is not
// three digits, or not a status (RFC 9110, 15).
func rawHead(status int, fields string) string {
	return fmt.Sprintf("HTTP/1.1 %03d Status\r\nx-cos-request-id: id\r\n%s\r\n", status, fields)
}

// chunk is text in the chunked coding, including the last chunk.
func chunk(text string) string {
	if text == "" {
		return "0\r\n\r\n"
	}
	return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text)
}
