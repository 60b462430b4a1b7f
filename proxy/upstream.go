package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"net/url"
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
	// It is the TCP user timeout too, where the system has one.
	ResponseTimeout time.Duration

	dial   dialFunc // in place of net.Dialer, for tests
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
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
	// tlsSessions is how many servers the resumption of TLS sessions covers.
	tlsSessions = 64
	// keepAlive is both the idle time before TCP keep-alive probes and the time
	// between two of them.
	keepAlive = 15 * time.Second
)

// NewTransport returns the transport to COS: HTTP/1.1, many idle connections
// to one host, bodies left as they are.
func NewTransport(o TransportOptions) *http.Transport {
	if o.ResponseTimeout == 0 {
		o.ResponseTimeout = responseTimeout
	}
	dialer := o.dialer()
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
			return newUpstreamConn(c), nil
		},
		TLSClientConfig: &tls.Config{
			RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
		},
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: o.ResponseTimeout,
		ExpectContinueTimeout: continueTimeout,
		MaxIdleConns:          idleConns,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       idleTimeout,
		DisableCompression:    true, // or bodies would be decoded on the way
		Protocols:             new(http.Protocols),
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			return refusedConnect(answer.StatusCode)
		},
	}
	t.Protocols.SetHTTP1(true)
	reclaimDescriptors(t)
	if o.ConnectTo != "" {
		t.Proxy = nil
	}
	return t
}

// dialer returns what connects to COS. Keep-alive probes find connections that are
// dead without a FIN or RST while they are silent, the TCP user timeout finds them
// while they carry a body.
func (o TransportOptions) dialer() nameDialer {
	d := nameDialer{lookup: o.lookup, dial: o.dial}
	if d.lookup == nil {
		d.lookup = net.DefaultResolver.LookupNetIP
	}
	if d.dial == nil {
		d.dial = (&net.Dialer{
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 4},
			Control:         userTimeout(o.ResponseTimeout),
		}).DialContext
	}
	return d
}
