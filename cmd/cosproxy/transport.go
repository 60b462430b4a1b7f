package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"cosproxy/proxy"
)

// transports are the HTTP transports of cosproxy's own requests. The zero value is
// sufficient to check settings.
type transports struct {
	toCOS    http.RoundTripper // for cosproxy check; requests of applications use package proxy
	toSource http.RoundTripper // for STS and the credentials server
	toJWKS   http.RoundTripper // for the URL of the JWKS of an issuer

	all []*http.Transport
}

func newTransports(cfg *resolved) *transports {
	setFallbackRoots()
	toCOS := newTransport(cfg, cfg.ConnectTo)
	toSource := newTransport(cfg, "")
	toJWKS := newTransport(cfg, "")
	if cfg.jwksRoots != nil {
		toJWKS.TLSClientConfig.RootCAs = cfg.jwksRoots
	}
	return &transports{toCOS: toCOS, toSource: toSource, toJWKS: toJWKS, all: []*http.Transport{toCOS, toSource, toJWKS}}
}

func (t *transports) close() {
	for _, transport := range t.all {
		transport.CloseIdleConnections()
	}
}

// Timeouts of cosproxy's own requests.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	responseTimeout  = time.Minute
	idleTimeout      = 30 * time.Second
)

// newTransport returns a transport for requests to sources of credentials, and for the
// requests of cosproxy check to COS. If connectTo is not empty, it is dialed instead of
// the host.
func newTransport(cfg *resolved, connectTo string) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, cmp.Or(connectTo, address))
		},
		TLSClientConfig:       &tls.Config{RootCAs: cfg.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: cmp.Or(cfg.StallTimeout, responseTimeout),
		IdleConnTimeout:       idleTimeout,
		Protocols:             new(http.Protocols),
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
			return refusedConnect(response.StatusCode)
		},
	}
	t.Protocols.SetHTTP1(true)
	if connectTo != "" {
		t.Proxy = nil
	}
	return t
}

// hasOwnEndpoint reports whether the settings say where COS is.
func (c *config) hasOwnEndpoint() bool {
	return c.ConnectTo != "" || c.Endpoint != proxy.DefaultEndpoint
}

// upstream returns the options for requests of applications to COS.
func (c *resolved) upstream() proxy.Upstream {
	return proxy.Upstream{
		ConnectTo:   c.ConnectTo,
		RootCAs:     c.roots,
		SpareDomain: c.SpareDomain && !c.hasOwnEndpoint(),
		Proxy:       func(u *url.URL) (*url.URL, error) { return http.ProxyFromEnvironment(&http.Request{URL: u}) },
	}
}
