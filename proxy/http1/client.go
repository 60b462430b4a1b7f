package http1

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// ClientOptions configure NewClient.
type ClientOptions struct {
	// Origin is the origin of all requests: scheme, host and optional port. Required.
	Origin *url.URL
	// ConnectTo is the host:port to dial instead of that of Origin. Empty: Origin's.
	ConnectTo string
	// TLS configures connections to an https origin. NewClient clones it. An empty
	// ServerName becomes the host of Origin; a missing session cache is added. Nil: the
	// defaults of crypto/tls, TLS 1.2 or later.
	TLS *tls.Config
	// Proxy returns the HTTP proxy for a URL, nil for none. NewClient calls it once,
	// with Origin, unless ConnectTo is set. Nil: no proxy.
	Proxy func(*url.URL) (*url.URL, error)
	// Limits bound the heads of responses.
	Limits Limits
	// Dial connects to one address, host:port with an IP address. Nil: a net.Dialer
	// with TCP keep-alive and, on Linux, StallTimeout as TCP_USER_TIMEOUT, so that
	// dead connections are detected.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Lookup returns the addresses of a host name. Nil: the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// OutOfDescriptors is called when a dial fails for lack of file descriptors. The
	// dial is then retried once. Nil: CloseIdle.
	OutOfDescriptors func()
	// DialTimeout is the timeout of one connection setup, including the handshakes with
	// a proxy and of TLS. Zero: 10 s.
	DialTimeout time.Duration
	// ContinueTimeout is the time to wait for 100 Continue before the body is sent
	// anyway (RFC 9110, 10.1.1). Zero: 1 s.
	ContinueTimeout time.Duration
	// StallTimeout is the maximum time until a response begins, for each read of its body,
	// and for each 256 KiB of a request body. It may fire an eighth earlier. Zero: 1 min.
	StallTimeout time.Duration
	// FirstByteTimeout is the time after which a reused connection without a response
	// is considered dead, if Call.Abandon agrees. Zero: 5 s, but at most half of
	// StallTimeout.
	FirstByteTimeout time.Duration
	// IdleTimeout is the time after which an idle connection is closed. Zero: 30 s. That
	// is less than the 60 s or more of common servers, so the server rarely closes a
	// connection just when it is reused.
	IdleTimeout time.Duration
	// MaxAge is the maximum age at which a connection is reused. Each connection gets a
	// random limit between 80 % and 100 % of it. A limit makes the client follow DNS
	// changes; the random part spreads the new connections. Zero: 5 min.
	MaxAge time.Duration
	// MaxIdle is the maximum number of idle connections. Zero: 512.
	MaxIdle int
}

// Client sends requests to one origin. It is safe for concurrent use.
type Client struct {
	o      ClientOptions
	dialer dialer

	mu         sync.Mutex
	idle       []*clientConn // in order of last use, the most recent last
	closed     bool
	sweepTimer *time.Timer // runs sweepIdle; nil: no connection is idle
}

// NewClient returns a client. It opens no connection. It fails if o.Proxy fails or
// returns a proxy whose scheme is neither http nor https.
func NewClient(o ClientOptions) (*Client, error) {
	if o.DialTimeout == 0 {
		o.DialTimeout = 10 * time.Second
	}
	if o.ContinueTimeout == 0 {
		o.ContinueTimeout = time.Second
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = time.Minute
	}
	if o.FirstByteTimeout == 0 {
		o.FirstByteTimeout = min(5*time.Second, o.StallTimeout/2)
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 30 * time.Second
	}
	if o.MaxAge == 0 {
		o.MaxAge = 5 * time.Minute
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = 512
	}
	o.Limits = o.Limits.withDefaults()
	d, err := newDialer(o)
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, dialer: d}
	if c.o.OutOfDescriptors == nil {
		c.o.OutOfDescriptors = c.CloseIdle
	}
	return c, nil
}

// TargetPrefix is the prefix of every request target: scheme and host for requests to
// an HTTP proxy (absolute-form, RFC 9112, 3.2.2), otherwise empty.
func (c *Client) TargetPrefix() string { return c.dialer.targetPrefix }

// ProxyAuthorization is the value of the Proxy-Authorization field that every request
// needs. Empty: no such field.
func (c *Client) ProxyAuthorization() string { return c.dialer.requestAuth }
