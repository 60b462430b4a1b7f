package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ServerOptions configure NewServer. Zero values mean the defaults.
type ServerOptions struct {
	// Logger gets what net/http's server has to say. Nil leaves it to package log.
	Logger *slog.Logger
	// Refused is told the status of each request that net/http refuses before the
	// handler runs; Proxy.Refused counts it. Nil counts nothing.
	Refused func(status int)
	// HeaderTimeout is how long a client may take for a header, counted from its
	// first byte, and for the first one from the beginning of the connection. Zero
	// means 10 seconds.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept for another request. Zero means
	// 2 minutes.
	IdleTimeout time.Duration
	// HeaderBytes is the length of request line and headers together. Zero means
	// 64 KiB. net/http lets 4 KiB more pass.
	HeaderBytes int
}

const defaultHeaderBytes = 64 << 10

// NewServer returns the server for a handler made by New: bounded headers,
// no limit on the time of a whole request, since objects are large. Its
// Serve method must be given a Listener.
func NewServer(h http.Handler, o ServerOptions) *http.Server {
	s := &http.Server{
		Handler:           answering(h),
		ReadHeaderTimeout: cmp.Or(o.HeaderTimeout, 10*time.Second),
		IdleTimeout:       cmp.Or(o.IdleTimeout, 2*time.Minute),
		MaxHeaderBytes:    cmp.Or(o.HeaderBytes, defaultHeaderBytes),
		Protocols:         new(http.Protocols),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*conn); ok {
				c.log, c.headerBytes = cmp.Or(o.Logger, c.log), cmp.Or(o.HeaderBytes, defaultHeaderBytes)
				if o.Refused != nil {
					c.refused = o.Refused
				}
			}
			return context.WithValue(ctx, connKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if c, ok := c.(*conn); ok {
				c.changed(state)
				c.use.follow(state)
			}
		},
		// checkFraming must see every request, OPTIONS * too.
		DisableGeneralOptionsHandler: true,
	}
	s.Protocols.SetHTTP1(true)
	if o.Logger != nil {
		s.ErrorLog = log.New(LibraryLog(o.Logger), "", 0)
	}
	return s
}

// answering marks a connection while h has the word, so that no byte of an
// object is taken for an error of net/http's own. StateIdle ends it.
func answering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := connOf(r); ok {
			c.answering.Store(true)
		}
		h.ServeHTTP(w, r)
	})
}

// Listener wraps the listener of a NewServer, which may be one of crypto/tls. Its
// connections answer in COS's XML form also where net/http refuses a request
// before any handler runs.
func Listener(l net.Listener) net.Listener { return NewConnLimit(0).Listener(l) }

type connKey struct{}

// connOf is the connection of r; ok is false where no Listener has accepted it.
func connOf(r *http.Request) (c *conn, ok bool) {
	c, ok = r.Context().Value(connKey{}).(*conn)
	return c, ok
}

type conn struct {
	net.Conn
	use         connUse
	mu          sync.Mutex // net/http reads in the background while a handler runs
	framer      framer
	log         *slog.Logger
	refused     func(status int)
	headerBytes int         // of one request
	ahead       []byte      // was read and filtered, and not returned yet
	deadline    deadline    // for reads
	served      int         // requests; guarded by mu, as the framer is
	active      atomic.Bool // a request is being served
	answering   atomic.Bool // what is written is a handler's answer
	unread      atomic.Bool // the client may still be sending a body that nobody wants
}

// changed follows what net/http's server does with the connection.
func (c *conn) changed(state http.ConnState) {
	switch state {
	case http.StateActive:
		c.active.Store(true)
	case http.StateIdle:
		c.active.Store(false)
		c.answering.Store(false)
		c.mu.Lock()
		c.served++
		c.mu.Unlock()
	}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	for {
		if len(c.ahead) > 0 {
			n := copy(b, c.ahead)
			c.ahead = c.ahead[n:]
			return n, nil
		}
		n, err := c.Conn.Read(b)
		if n > 0 {
			if n = c.filter(b, n); n == 0 && err == nil {
				continue // empty lines alone
			}
			c.use.received()
		}
		if n == 0 && errors.Is(err, io.EOF) && c.isHalfClosed() {
			return 0, c.deadline.wait()
		}
		if err != nil {
			c.refusePlain(err)
		}
		return n, err
	}
}

// filter has the framer follow what was read into b, without the empty lines in front
// of requests.
func (c *conn) filter(b []byte, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.framer.held {
		return c.framer.write(b[:n])
	}
	c.framer.held = false
	whole := append([]byte{'\r'}, b[:n]...)
	whole = whole[:c.framer.write(whole)]
	n = copy(b, whole)
	c.ahead = whole[n:]
	return n
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if c.answering.Load() {
		return c.Conn.Write(b)
	}
	answer := c.translate(b)
	if answer == nil {
		return c.Conn.Write(b)
	}
	if _, err := c.Conn.Write(answer); err != nil {
		return 0, err
	}
	return len(b), nil
}

// nextFraming returns how the next request was framed; ok is false if that is
// not known.
func (c *conn) nextFraming() (f framing, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.framer.next()
}

// plainError ends the header of what net/http's server answers by itself, in
// one Write and without the Date that every answer of a handler has.
const plainError = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// translate returns the XML form of an error that net/http's server answered
// by itself, and nil for anything else.
func (c *conn) translate(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("HTTP/1.1 417 ")) || bytes.HasPrefix(b, []byte("HTTP/1.0 417 ")) {
		return c.plainAnswer(errorf(http.StatusExpectationFailed, "ExpectationFailed",
			"The only expectation that can be met is 100-continue. Send the request without this Expect."))
	}
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 5")) {
		return nil
	}
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	if !bytes.HasPrefix(rest, []byte(plainError[2:])) || len(line) < len("HTTP/1.1 400") {
		return nil
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return nil
	}
	return c.plainAnswer(c.protocolError(status, string(line[12:])))
}

// plainAnswer is e as it stands on the wire, where there is no ResponseWriter.
// It logs and counts what no handler will, and has the client's body read on for a
// while, so that the answer is not lost with a reset.
func (c *conn) plainAnswer(e *Error) []byte {
	c.unread.Store(true)
	c.refused(e.Status)
	status, id := e.Status, newRequestID()
	c.log.Info("request", "status", status, "request_id", id, "error", e.Error())
	body := e.document("", id)
	head := "HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) +
		"\r\nContent-Type: application/xml\r\nConnection: close\r\nServer: cosproxy\r\nx-cos-request-id: " + id +
		"\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	return append([]byte(head), body...)
}

// protocolError explains what net/http refused.
func (c *conn) protocolError(status int, reason string) *Error {
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		return errorf(status, "RequestHeaderFieldsTooLarge",
			"The request line and headers are larger than %d bytes together. Send fewer or shorter headers, or raise COSPROXY_MAX_HEADER_BYTES.", c.headerBytes)
	case http.StatusNotImplemented:
		return errorf(status, "NotImplemented", "The only Transfer-Encoding that cosproxy takes is chunked.")
	}
	if _, detail, ok := strings.Cut(reason, ": "); ok {
		return errorf(status, "InvalidRequest", "The request is not valid HTTP: %s.", detail)
	}
	return errorf(status, "InvalidRequest",
		"The request line or a header could not be read. Percent-encode the object key (a literal %% is %%25, a blank %%20) and check the headers.")
}
