package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"cosproxy/proxy/http1"
)

// Upstream says how COS is reached. The zero value dials the endpoints of the routes.
type Upstream struct {
	// ConnectTo is the host:port to dial for every request, whatever host the
	// request names; Host, TLS server name and signature keep the real name.
	// With it Proxy is not asked. Empty dials the endpoint's own host.
	ConnectTo string
	// RootCAs verifies the server. Nil means the system's roots.
	RootCAs *x509.CertPool
	// Proxy names the HTTP proxy for a URL, nil for none: asked with CONNECT for
	// https, with absolute targets for http. It is asked once for each endpoint. Nil
	// means no proxy.
	Proxy func(*url.URL) (*url.URL, error)
	// Dial connects to one address. Nil means net.Dialer with TCP keep-alive.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error) // for tests
}

// maxSilence is how long a kept connection may be silent after a request before it
// is taken for dead. It may have been forgotten by a NAT or a VPN, or a machine may
// have slept: no FIN or RST tells.
const maxSilence = 5 * time.Second

// upstream is where the requests of the routes with one endpoint go.
type upstream struct {
	client     *http1.Client
	host       []byte // the value of Host
	expect     expectState
	maxSilence time.Duration // of a kept connection, before it is taken for dead
}

// upstreams has one upstream for each endpoint.
type upstreams struct {
	options http1.ClientOptions // without Origin

	mu  sync.Mutex
	all map[url.URL]*upstream
}

func newUpstreams(o Upstream, stall time.Duration) *upstreams {
	u := &upstreams{all: make(map[url.URL]*upstream)}
	u.options = http1.ClientOptions{
		ConnectTo: o.ConnectTo, Proxy: o.Proxy, Dial: o.Dial, Lookup: o.lookup,
		TLS:              &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		StallTimeout:     stall,
		FirstByteTimeout: min(maxSilence, stall/2),
		OutOfDescriptors: u.closeIdle,
	}
	return u
}

// get returns the upstream of an endpoint, which is made when it is first asked for.
func (u *upstreams) get(endpoint *url.URL) (*upstream, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if known := u.all[*endpoint]; known != nil {
		return known, nil
	}
	o := u.options
	o.Origin = endpoint
	client, err := http1.NewClient(o)
	if err != nil {
		return nil, err
	}
	added := &upstream{client: client, host: []byte(endpoint.Host), maxSilence: o.FirstByteTimeout}
	u.all[*endpoint] = added
	return added, nil
}

// closeIdle closes the connections that are not in use: those to one endpoint cannot
// serve another.
func (u *upstreams) closeIdle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, known := range u.all {
		known.client.CloseIdle()
	}
}
