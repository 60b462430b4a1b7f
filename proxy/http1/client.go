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
	// Origin is where requests go: scheme, host and perhaps a port. Required.
	Origin *url.URL
	// ConnectTo is host:port to dial in place of that of Origin. Empty: Origin's.
	ConnectTo string
	// TLS is used for an https origin; its ServerName, if empty, is the host of
	// Origin. Nil: the defaults of crypto/tls. It is cloned, and gets a session cache
	// if it has none.
	TLS *tls.Config
	// Proxy names the proxy for a URL, nil for none. It is asked once. Nil: no proxy.
	// It is not asked if ConnectTo is set.
	Proxy func(*url.URL) (*url.URL, error)
	// Limits bound the heads of responses.
	Limits Limits
	// Dial connects to one address, host:port with an IP address. Nil: a net.Dialer
	// that finds dead connections by TCP keep-alive, and by StallTimeout as TCP user
	// timeout where the system has one.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Lookup returns the addresses of a name. Nil: the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// OutOfDescriptors is called when there is no file descriptor for a new connection,
	// which is then tried once more. Nil: CloseIdle.
	OutOfDescriptors func()
	// DialTimeout is for one connection, TLS and proxy included. Zero: 10 s.
	DialTimeout time.Duration
	// ContinueTimeout is how long a body waits for 100 Continue. Zero: 1 s.
	ContinueTimeout time.Duration
	// StallTimeout is how long a body may make no progress, and how long a response
	// may take to begin. It may be an eighth shorter. Zero: 1 min.
	StallTimeout time.Duration
	// FirstByteTimeout is how long a connection that was used before may keep silent,
	// if the request may be repeated: it is then taken for dead. Zero: 5 s, but no
	// more than half of StallTimeout.
	FirstByteTimeout time.Duration
	// IdleTimeout is how long an unused connection is kept. Zero: 30 s, less than the
	// 60 s and more of common servers, so that they rarely close one just as it is used.
	IdleTimeout time.Duration
	// MaxAge is how long a connection is used at most, and four fifths of it at least, so
	// that a name that moves is noticed and not all end at once. Zero: 5 min.
	MaxAge time.Duration
	// MaxIdle is how many unused connections are kept. Zero: 512.
	MaxIdle int
}

// Client sends requests to one origin. It is safe for concurrent use.
type Client struct {
	o      ClientOptions
	dialer dialer

	mu     sync.Mutex
	idle   []*clientConn // the last used last
	closed bool
	sweep  *time.Timer // closes what has been idle for too long; nil: none is idle
}

// NewClient returns a client that has dialled nothing yet. It fails if Proxy does,
// or names a proxy that is not http or https.
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

// TargetPrefix is what a request target has to begin with: empty, or scheme and
// host where an HTTP proxy is asked (RFC 9112, 3.2.2).
func (c *Client) TargetPrefix() string { return c.dialer.targetPrefix }

// ProxyAuthorization is the value of Proxy-Authorization that requests have to
// carry, empty for none.
func (c *Client) ProxyAuthorization() string { return c.dialer.requestAuth }
