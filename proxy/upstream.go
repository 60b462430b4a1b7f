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

// Upstream configures connections to COS. The zero value dials the endpoints of the
// routes.
type Upstream struct {
	// ConnectTo is the host:port to dial for every request instead of the endpoint.
	// Host, TLS server name and signature keep the name of the endpoint. If it is set,
	// Proxy is not used. Empty dials the endpoint.
	ConnectTo string
	// RootCAs are the roots that verify the server's certificate. Nil means the roots of
	// the system.
	RootCAs *x509.CertPool
	// Proxy returns the HTTP proxy for a URL, or nil for a direct connection. The HTTP
	// proxy receives CONNECT for https and absolute targets for http. Proxy is called
	// once per endpoint. Nil means no HTTP proxy.
	Proxy func(*url.URL) (*url.URL, error)
	// SpareDomain lets requests that may be repeated go to the host of the bucket in
	// tencentcos.cn after that of DefaultEndpoint failed. Later requests go there as
	// well for a while. It has no effect on routes with another endpoint. False uses
	// only the endpoint.
	SpareDomain bool
	// Dial connects to one address. Nil means net.Dialer with TCP keep-alive.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error) // tests replace the resolver
}

// maxSilence is how long a pooled connection may be silent after a request before the
// proxy treats it as dead. A NAT or a VPN may have dropped its state, or the machine may
// have slept; neither sends a FIN or RST.
const maxSilence = 5 * time.Second

// upstream is the client of one endpoint. Routes with the same endpoint share it.
type upstream struct {
	client     *http1.Client
	host       []byte // the value of Host
	expect     expectState
	maxSilence time.Duration // of a pooled connection, before it is treated as dead
}

// upstreams has one upstream per endpoint.
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

// get returns the upstream of an endpoint. The first call creates it.
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

// closeIdle closes the idle connections to all endpoints.
func (u *upstreams) closeIdle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, known := range u.all {
		known.client.CloseIdle()
	}
}
