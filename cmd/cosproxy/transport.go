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

// Timeouts of requests that cosproxy makes for itself.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	responseTimeout  = time.Minute
	idleTimeout      = 30 * time.Second
)

// newTransport is for requests to STS and other sources of credentials, and for those
// of cosproxy check to COS. connectTo is dialed in place of every host, if it is not
// empty.
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

// upstream is how requests of applications reach COS.
func (c *resolved) upstream() proxy.Upstream {
	return proxy.Upstream{
		ConnectTo: c.ConnectTo,
		RootCAs:   c.roots,
		Proxy:     func(u *url.URL) (*url.URL, error) { return http.ProxyFromEnvironment(&http.Request{URL: u}) },
	}
}
