package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cosproxy/proxy"
	"cosproxy/signer"
)

// outcome is the result of a dry run.
type outcome struct {
	sent      *http.Request // the signed request; nil if the proxy rejected it
	rejection string        // code and message of the proxy error

	// From the access log.
	Route     string `json:"cosproxy.route"`
	ObjectKey string `json:"cos.object_key"`
	Action    string `json:"cos.action"`
	Status    int    `json:"http.response.status_code"`
	Error     string `json:"error.message"`
}

// dryRun sends r through a proxy with these options. Client and COS are in memory, so
// nothing reaches the network.
func dryRun(r *http.Request, options proxy.Options, creds signer.Credentials, now time.Time) (outcome, error) {
	var o outcome
	var log bytes.Buffer
	schemes := make(map[string]string)
	options.Routes = slices.Clone(options.Routes)
	for i := range options.Routes {
		rt := &options.Routes[i]
		rt.Credentials = fixedCredentials(creds)
		if endpoint, err := rt.URL(); err == nil { // the COS in memory does not use TLS
			schemes[cmp.Or(rt.Name, "default")] = endpoint.Scheme
			rt.Endpoint = "http://" + endpoint.Host
		}
	}
	cos := newMemoryListener()
	options.Upstream = proxy.Upstream{ConnectTo: "192.0.2.1:80", Dial: cos.dial} // reserved for documentation
	options.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	options.Now = func() time.Time { return now }
	p, err := proxy.New(options)
	if err != nil {
		return o, err
	}
	app, server := newMemoryListener(), p.NewServer(proxy.ServerOptions{})
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(app) })
	running.Go(func() { o.sent = cos.firstRequest() })
	err = send(r, app)
	_ = cos.Close() // always nil
	server.Close()
	running.Wait()
	if err != nil {
		return o, err
	}
	line, _, _ := bytes.Cut(log.Bytes(), []byte("\n"))
	if err := json.Unmarshal(line, &o); err != nil {
		return o, fmt.Errorf("the access log cannot be parsed: %w", err)
	}
	if o.sent == nil {
		o.rejection = o.Error
		return o, nil
	}
	o.sent.URL.Scheme, o.sent.URL.Host = schemes[o.Route], o.sent.Host
	return o, nil
}

// send writes r with a body of zeros to the proxy, and waits for the end of the response.
func send(r *http.Request, app *memoryListener) error {
	c, err := app.dial(context.Background(), "", "")
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		_ = writeRequest(c, r) // the proxy may reject it before the end
	}()
	_, err = io.Copy(io.Discard, c)
	return err
}

// writeRequest writes r as an application would, unchanged.
func writeRequest(w io.Writer, r *http.Request) error {
	target := r.URL.RequestURI()
	if r.URL.Opaque != "" {
		target = r.URL.Opaque
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.Method, target, r.Host)
	_ = r.Header.Write(&head) // cannot fail
	switch {
	case r.ContentLength > 0:
		fmt.Fprintf(&head, "Content-Length: %d\r\n\r\n", r.ContentLength)
	case r.ContentLength < 0:
		head.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	default:
		head.WriteString("\r\n")
	}
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	if r.ContentLength < 0 {
		_, err := fmt.Fprintf(w, "%x\r\n%s\r\n0\r\n\r\n", len(zeros), zeros[:])
		return err
	}
	for left := r.ContentLength; left > 0; {
		n, err := w.Write(zeros[:min(left, int64(len(zeros)))])
		if left -= int64(n); err != nil {
			return err
		}
	}
	return nil
}

// zeros replaces the body, of which only the length is signed. It is larger than the part
// of a chunked body that the proxy buffers to determine its length.
var zeros [128 << 10]byte

// memoryListener is a listener and a dialer in memory.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{} }

// firstRequest returns the head of the first request, or nil if the listener is closed
// before. It closes every connection after the head.
func (l *memoryListener) firstRequest() (first *http.Request) {
	for {
		c, err := l.Accept()
		if err != nil {
			return first
		}
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil && first == nil {
			for _, name := range []string{"Content-Length", "Transfer-Encoding"} {
				r.Header.Del(name) // r has fields for them
			}
			first = r
		}
		c.Close()
	}
}

// fixedCredentials implements proxy.Credentials with constant credentials.
type fixedCredentials signer.Credentials

func (c fixedCredentials) Credentials(context.Context) (signer.Credentials, error) {
	return signer.Credentials(c), nil
}

func (fixedCredentials) Accepted(string) {}

func (fixedCredentials) Invalidate(string, bool) bool { return false }

func (fixedCredentials) Replacement(context.Context, string) (signer.Credentials, bool) {
	return signer.Credentials{}, false
}

// describe writes the route of r and the parts of r that are not sent.
func (o outcome) describe(w io.Writer, r *http.Request) {
	fmt.Fprintf(w, "To COS:            %s %s\n", o.sent.Method, o.sent.URL)
	switch {
	case o.Route == noRoute:
		fmt.Fprintln(w, "Route:             none (not in the settings)")
	case o.ObjectKey == "":
		fmt.Fprintf(w, "Route:             %s, the bucket itself, %s\n", o.Route, o.Action)
	default:
		fmt.Fprintf(w, "Route:             %s, object key %s, %s\n", o.Route, signer.Redact(o.ObjectKey), o.Action)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		// cosproxy replaces these, so their presence in sent.Header means nothing.
		if _, kept := o.sent.Header[name]; !kept || name == "Authorization" || name == "X-Cos-Security-Token" || name == "Via" {
			fmt.Fprintf(w, "Not sent:          %s: cosproxy does not forward it\n", signer.Redact(name))
		}
	}
	sent := o.sent.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !sent.Has(name) && !isSignatureParameter(name) {
			fmt.Fprintf(w, "Not sent:          parameter %s: not documented by COS, so cosproxy removes it\n", signer.Redact(name))
		}
	}
}

// isSignatureParameter reports whether a parameter belongs to a signature, which cosproxy
// replaces.
func isSignatureParameter(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "q-") || strings.HasPrefix(name, "x-amz-") || strings.HasSuffix(name, "-security-token") ||
		name == "sign" || name == "signature" || name == "awsaccesskeyid"
}
