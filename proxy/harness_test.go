package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	cos "github.com/tencentyun/cos-go-sdk-v5"
	"go.uber.org/goleak"

	"cosproxy/proxy"
	"cosproxy/proxy/http1"
	"cosproxy/signer"
)

const (
	bucket   = "examplebucket-1250000000"
	region   = "ap-guangzhou"
	cosHost  = bucket + ".cos." + region + ".myqcloud.com"
	plainCOS = "http://{bucket}.cos.{region}.myqcloud.com" // the emulated COS has no TLS
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// stubCredentials is a proxy.Credentials with a list of credentials. Rejected ones are
// replaced by the next ones.
type stubCredentials struct {
	mu          sync.Mutex
	list        []signer.Credentials
	err         error
	trusted     bool // a rejected key is to be tried once more
	invalidated []string
	again       []bool // what was said with each of invalidated
	accepted    []string
}

func newCredentials(n int) *stubCredentials {
	k := &stubCredentials{}
	for i := range n {
		generation := strconv.Itoa(i + 1)
		k.list = append(k.list, signer.Credentials{
			SecretID:  "AKIDsentinel" + generation,
			SecretKey: "secret-sentinel-" + generation,
			Token:     "token-sentinel-" + generation,
			Expires:   time.Now().Add(time.Hour),
		})
	}
	return k
}

func (k *stubCredentials) Credentials(context.Context) (signer.Credentials, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return signer.Credentials{}, k.err
	}
	return k.list[min(len(k.invalidated), len(k.list)-1)], nil
}

func (k *stubCredentials) Accepted(secretID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.accepted, secretID) {
		k.accepted = append(k.accepted, secretID)
	}
}

func (k *stubCredentials) Invalidate(secretID string, again bool) (retry bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trusted && !again {
		return true
	}
	k.invalidated, k.again = append(k.invalidated, secretID), append(k.again, again)
	return false
}

func (k *stubCredentials) Replacement(ctx context.Context, secretID string) (next signer.Credentials, ok bool) {
	next, err := k.Credentials(ctx)
	return next, err == nil && next.SecretID != secretID
}

func (k *stubCredentials) rejected() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.invalidated)
}

// arrival is one request as it reached the upstream.
type arrival struct {
	*http.Request        // its Body is still on the wire
	head          string // request line and headers, byte for byte
	body          []byte // what readBody read
	conn          net.Conn
	reader        *bufio.Reader
}

// respond writes raw bytes to the proxy.
func (a *arrival) respond(raw string) { _, _ = io.WriteString(a.conn, raw) }

// readBody reads the body to its end.
func (a *arrival) readBody() error {
	var err error
	a.body, err = io.ReadAll(a.Body)
	return err
}

// waitGone returns once the proxy has closed the connection.
func (a *arrival) waitGone() { _, _ = io.Copy(io.Discard, a.reader) }

// target is the request target on the wire.
func (a *arrival) target() string { return strings.Fields(a.head)[1] }

// wire returns the headers as they were on the wire, Host included.
func (a *arrival) wire() http.Header { return parseHead(a.head) }

func parseHead(head string) http.Header {
	_, rest, _ := strings.Cut(head, "\r\n")
	h, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(rest))).ReadMIMEHeader()
	return http.Header(h)
}

// fieldNames lists the header names as they are spelled on the wire.
func fieldNames(head string) []string {
	var names []string
	for line := range strings.SplitSeq(strings.TrimSpace(head), "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "HTTP/") {
			names = append(names, name)
		}
	}
	return names
}

// ok is the default response of an upstream.
const ok = "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nContent-Length: 0\r\n\r\n"

// upstream is a recording server. It reads requests from the wire and verifies each
// signature with the official SDK.
type upstream struct {
	t        testing.TB
	listener net.Listener
	creds    *stubCredentials
	handle   func(*arrival)
	probed   bool // handle wants to see what tries a key, too
	running  sync.WaitGroup

	mu       sync.Mutex
	arrivals []*arrival
	conns    []net.Conn
	closed   bool
}

func newUpstream(t testing.TB, ln net.Listener, k *stubCredentials, handle func(*arrival)) *upstream {
	t.Helper()
	u := &upstream{t: t, listener: ln, creds: k, handle: handle}
	u.running.Go(u.accept)
	t.Cleanup(func() {
		u.listener.Close()
		u.mu.Lock()
		u.closed = true
		for _, c := range u.conns {
			c.Close()
		}
		u.mu.Unlock()
		u.running.Wait()
	})
	return u
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func (u *upstream) accept() {
	for {
		c, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.conns = append(u.conns, c)
		if u.closed {
			c.Close()
		}
		u.mu.Unlock()
		u.running.Go(func() {
			defer c.Close()
			u.serve(c)
		})
	}
}

// tap keeps a copy of the bytes read, up to the end of a request header.
type tap struct {
	r    io.Reader
	head []byte
	done bool
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if !t.done {
		t.head = append(t.head, p[:n]...)
		if i := bytes.Index(t.head, []byte("\r\n\r\n")); i >= 0 {
			t.head, t.done = t.head[:i+4], true
		}
	}
	return n, err
}

// expected is a body that sends 100 Continue when it is first read.
type expected struct {
	io.ReadCloser
	conn  net.Conn
	asked bool
}

func (e *expected) Read(p []byte) (int, error) {
	if !e.asked {
		e.asked = true
		_, _ = io.WriteString(e.conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	return e.ReadCloser.Read(p)
}

func (u *upstream) serve(c net.Conn) {
	in := &tap{r: c}
	r := bufio.NewReader(in)
	for {
		in.head, in.done = nil, false
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Header.Get("Expect") != "" {
			req.Body = &expected{ReadCloser: req.Body, conn: c}
		}
		a := &arrival{Request: req, head: string(in.head), conn: c, reader: r}
		if req.RequestURI == "/?location" && !u.probed { // it tries the key of a large form
			u.verify(a)
			a.respond(ok)
			continue
		}
		u.mu.Lock()
		u.arrivals = append(u.arrivals, a)
		u.mu.Unlock()
		if !a.isForm() {
			u.verify(a)
		}
		if u.handle == nil {
			if a.readBody() != nil {
				return
			}
			a.respond(ok)
		} else {
			u.handle(a)
		}
		if a.isForm() && a.body != nil {
			u.verifyForm(a)
		}
		if e, ok := req.Body.(*expected); ok && !e.asked {
			return // the body will not come, and the connection ends, as COS's does
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil || req.Close {
			return
		}
	}
}

// verify computes the expected signature from the bytes on the wire.
func (u *upstream) verify(a *arrival) {
	auth := a.wire()["Authorization"]
	if len(auth) != 1 {
		u.t.Errorf("%d Authorization headers reached COS:\n%s", len(auth), a.head)
		return
	}
	if strings.HasPrefix(auth[0], "AWS4-") {
		u.verifyS3(a, auth[0])
		return
	}
	for name := range a.wire() {
		if strings.HasPrefix(name, "X-Amz-") {
			u.t.Errorf("%s reached COS without an AWS signature:\n%s", name, a.head)
		}
	}
	fields, _ := url.ParseQuery(strings.ReplaceAll(auth[0], ";", "%3B"))
	i := slices.IndexFunc(u.creds.list, func(c signer.Credentials) bool { return c.SecretID == fields.Get("q-ak") })
	if i < 0 {
		u.t.Errorf("signed with unknown credentials:\n%s", a.head)
		return
	}
	if got := a.wire()["X-Cos-Security-Token"]; !slices.Equal(got, []string{u.creds.list[i].Token}) {
		u.t.Errorf("the token header is %q, not that of the credentials that signed", got)
	}
	if want := u.expectedAuthorization(a, u.creds.list[i], fields); auth[0] != want {
		u.t.Errorf("signature of\n%s\n got %s\nwant %s", a.head, auth[0], want)
	}
}

func (u *upstream) expectedAuthorization(a *arrival, c signer.Credentials, fields url.Values) string {
	path, query, _ := strings.Cut(a.target(), "?")
	target, err := url.ParseRequestURI(strings.ReplaceAll(path, "+", "%20") + "?" + query) // as COS reads a raw plus
	if err != nil {
		u.t.Errorf("target %q: %v", a.target(), err)
		return ""
	}
	wire := a.wire()
	again := &http.Request{Method: a.Method, URL: target, Host: wire.Get("Host"), Header: http.Header{}}
	for _, name := range strings.Split(fields.Get("q-header-list"), ";") {
		again.Header[textproto.CanonicalMIMEHeaderKey(name)] = wire.Values(name)
	}
	start, end, _ := strings.Cut(fields.Get("q-sign-time"), ";")
	from, to := unix(start), unix(end)
	cos.AddAuthorizationHeader(c.SecretID, c.SecretKey, "", again,
		&cos.AuthTime{SignStartTime: from, SignEndTime: to, KeyStartTime: from, KeyEndTime: to})
	return again.Header.Get("Authorization")
}

func unix(s string) time.Time {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0)
}

// seen returns the requests that have arrived so far.
func (u *upstream) seen() []*arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.arrivals)
}

// only returns the one request that has arrived.
func (u *upstream) only(t testing.TB) *arrival {
	t.Helper()
	seen := u.seen()
	if len(seen) != 1 {
		t.Fatalf("%d requests reached the upstream, want 1", len(seen))
	}
	return seen[0]
}

// syncBuffer is a bytes.Buffer for concurrent writers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// rig is a proxy on a socket with a recording upstream.
type rig struct {
	addr     string
	memory   *pipes // in place of addr, in a synctest bubble
	creds    *stubCredentials
	upstream *upstream
	log      *syncBuffer
	registry *prometheus.Registry
	proxy    *proxy.Proxy
	server   *http1.Server
}

// setup configures a rig. By default it allows everything.
type setup struct {
	handle   func(*arrival) // nil reads the body and responds with 200
	creds    *stubCredentials
	options  func(*proxy.Options)
	upstream proxy.Upstream
	inMemory bool // for a synctest bubble, where sockets cannot be used
}

func start(t testing.TB, s setup) *rig {
	t.Helper()
	if s.creds == nil {
		s.creds = newCredentials(3)
	}
	r := &rig{creds: s.creds, log: &syncBuffer{}, registry: prometheus.NewRegistry()}
	ln := net.Listener(newPipes())
	if !s.inMemory {
		ln = listen(t)
	}
	r.upstream = newUpstream(t, ln, s.creds, s.handle)
	if s.upstream.ConnectTo == "" {
		s.upstream.ConnectTo = r.upstream.listener.Addr().String()
	}
	if s.inMemory {
		s.upstream.Dial = ln.(*pipes).dial
	}
	o := proxy.Options{
		Routes: []proxy.Route{{
			Bucket: bucket, Region: region, Endpoint: plainCOS,
			AllowActions: []string{"*"}, AllowPrefixes: []string{"*"}, Credentials: s.creds,
		}},
		Upstream:    s.upstream,
		Logger:      slog.New(slog.NewTextHandler(r.log, nil)),
		Registerer:  r.registry,
		SettingName: settingName,
	}
	if s.options != nil {
		s.options(&o)
	}
	var err error
	if r.proxy, err = proxy.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.proxy.Close)
	if s.inMemory {
		r.memory = newPipes()
		r.memory.breaking = true
		r.serveOn(t, r.memory, proxy.ServerOptions{})
	} else {
		r.serveOn(t, listen(t), proxy.ServerOptions{})
	}
	return r
}

// settingName names settings in messages by their fields.
func settingName(s proxy.Setting) string {
	if s.Route != "" {
		return s.Route + "/" + s.Name
	}
	return s.Name
}

// serveOn serves the proxy on one more listener, and sets r.addr to it.
func (r *rig) serveOn(t testing.TB, ln net.Listener, o proxy.ServerOptions) {
	r.addr = ln.Addr().String()
	server := r.proxy.NewServer(o)
	r.server = server
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() { server.Close(); running.Wait() })
}

// drained waits until every request has been logged, and returns the log.
func (r *rig) drained(t testing.TB) string {
	t.Helper()
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.log.String()
}

// client writes exact bytes to the proxy and reads exact bytes.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (r *rig) dial(t testing.TB) *client {
	t.Helper()
	dial := func() (net.Conn, error) { return net.Dial("tcp", r.addr) }
	if r.memory != nil {
		dial = func() (net.Conn, error) { return r.memory.dial(t.Context(), "", "") }
	}
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// Close closes with a reset. A FIN after a complete request would be a half-close,
// after which the client waits for its response.
func (c *client) Close() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close() // always nil
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatal(err)
	}
}

// head reads the status line and header of a response.
func (c *client) head() string {
	c.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			c.t.Fatalf("the response's header ends with %v after %q", err, b.String())
		}
	}
	return b.String()
}

// reply is a response as received, with its body decoded.
type reply struct {
	status int
	head   string
	header http.Header
	body   string
	err    error // of the body
}

// reply reads one complete response to a request with this method.
func (c *client) reply(method string) reply {
	c.t.Helper()
	head := c.head()
	status, _ := strconv.Atoi(head[9:12])
	rep := reply{status: status, head: head, header: parseHead(head)}
	var body []byte
	length, err := strconv.Atoi(rep.header.Get("Content-Length"))
	switch {
	case method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified:
	case rep.header.Get("Transfer-Encoding") == "chunked":
		if body, rep.err = io.ReadAll(httputil.NewChunkedReader(c.r)); rep.err == nil {
			_, rep.err = c.r.Discard(len("\r\n"))
		}
	case err == nil:
		body = make([]byte, length)
		var n int
		n, rep.err = io.ReadFull(c.r, body)
		body = body[:n]
	default:
		body, rep.err = io.ReadAll(c.r)
	}
	rep.body = string(body)
	return rep
}

// end reads until the server closes the connection, and returns the bytes.
func (c *client) end() string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	rest, err := io.ReadAll(c.r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the server does not close the connection")
	}
	return string(rest)
}

// exchange sends one request on its own connection. It adds a Host field if raw has
// none.
func (r *rig) exchange(t testing.TB, raw string) reply {
	t.Helper()
	c := r.dial(t)
	defer c.Close()
	if !strings.Contains(raw, "\nHost:") {
		line, rest, _ := strings.Cut(raw, "\r\n")
		raw = line + "\r\nHost: localhost\r\n" + rest
	}
	c.send(raw)
	method, _, _ := strings.Cut(raw, " ")
	return c.reply(method)
}

// get sends a GET without further header fields.
func (r *rig) get(t testing.TB, target string) reply {
	t.Helper()
	return r.exchange(t, "GET "+target+" HTTP/1.1\r\n\r\n")
}

// cosError parses an error document as the official SDK does, and checks its form.
func (rep reply) cosError(t testing.TB) cos.ErrorResponse {
	t.Helper()
	var doc cos.ErrorResponse
	if err := xml.Unmarshal([]byte(rep.body), &doc); err != nil {
		t.Fatalf("status %d with a body that is not COS's XML: %v\n%s", rep.status, err, rep.body)
	}
	if doc.Code == "" || doc.Message == "" || doc.RequestID == "" || doc.RequestID != rep.header.Get("X-Cos-Request-Id")+rep.header.Get("X-Amz-Request-Id") {
		t.Errorf("incomplete error document, or another id than in the header:\n%s\n%s", rep.head, rep.body)
	}
	if got := rep.header.Get("Content-Type"); got != "application/xml" {
		t.Errorf("Content-Type %q", got)
	}
	return doc
}

// refused checks a proxy error, and that no request reached the upstream.
func (r *rig) refused(t testing.TB, rep reply, status int, code string) cos.ErrorResponse {
	t.Helper()
	if rep.status != status {
		t.Fatalf("status %d, want %d\n%s", rep.status, status, rep.body)
	}
	doc := rep.cosError(t)
	if doc.Code != code {
		t.Errorf("code %s, want %s", doc.Code, code)
	}
	if n := len(r.upstream.seen()); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
	return doc
}
