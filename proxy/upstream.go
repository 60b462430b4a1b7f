package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"time"
)

// TransportOptions configure NewTransport.
type TransportOptions struct {
	// ConnectTo is the host:port to dial for every request, whatever host the
	// request names; Host, TLS server name and signature keep the real name.
	// With it no HTTP proxy is used. Empty dials the request's own host,
	// through HTTP_PROXY or HTTPS_PROXY if they are set.
	ConnectTo string
	// RootCAs verifies the server. Nil means the system's roots.
	RootCAs *x509.CertPool
	// ResponseTimeout limits the wait for the header of COS's answer, from the
	// moment that the request has been sent whole. Zero means one minute.
	ResponseTimeout time.Duration
}

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	responseTimeout  = time.Minute
	// continueTimeout is how long COS may keep silent about a large upload
	// before it is sent all the same (RFC 9110, 10.1.1).
	continueTimeout = time.Second
	// idleTimeout is shorter than the 60 s and more that servers commonly keep
	// a connection, so that COS rarely closes one just as it is used again.
	idleTimeout = 30 * time.Second
	// idleConns is for one host. net/http keeps 2 by default, and opens a
	// connection for nearly every request of 64 concurrent clients.
	idleConns = 512
)

// NewTransport returns the transport to COS: HTTP/1.1, many idle connections
// to one host, bodies left as they are.
func NewTransport(o TransportOptions) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if o.ConnectTo != "" {
				addr = o.ConnectTo
			}
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return upstreamConn{c}, nil
		},
		TLSClientConfig:       &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: o.ResponseTimeout,
		ExpectContinueTimeout: continueTimeout,
		MaxIdleConns:          idleConns,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       idleTimeout,
		DisableCompression:    true, // or bodies would be decoded on the way
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if o.ConnectTo != "" {
		t.Proxy = nil
	}
	if t.ResponseHeaderTimeout == 0 {
		t.ResponseHeaderTimeout = responseTimeout
	}
	return t
}

// upstreamConn makes net/http send a request body in large pieces: its body
// writer hands the body to ReadFrom where the connection has one. Over TLS it
// has none, and bodies go in pieces of 32 KiB, two records each.
type upstreamConn struct{ net.Conn }

// ReadFrom implements io.ReaderFrom.
func (c upstreamConn) ReadFrom(r io.Reader) (int64, error) {
	length := int64(-1)
	if body, ok := r.(*io.LimitedReader); ok {
		length = body.N
	}
	buf, release := getBuffer(length)
	defer release()
	return io.CopyBuffer(onlyWriter{c.Conn}, r, buf)
}

// onlyWriter hides the ReadFrom of a TCP connection, which would copy through
// a smaller buffer.
type onlyWriter struct{ io.Writer }
