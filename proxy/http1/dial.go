package http1

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// dialer opens connections to one origin: directly, or through an HTTP proxy. Requests
// to an http origin go to the proxy in absolute-form; an https origin is reached by
// CONNECT.
type dialer struct {
	o            ClientOptions
	address      string      // host:port to dial
	tunnel       string      // host:port for CONNECT; empty: no CONNECT
	proxyTLS     *tls.Config // nil: plain HTTP to the proxy, or no proxy
	originTLS    *tls.Config // nil: an http origin
	targetPrefix string
	requestAuth  string // Proxy-Authorization of each request
	tunnelAuth   string // Proxy-Authorization of CONNECT
	names        nameDialer
}

func newDialer(o ClientOptions) (dialer, error) {
	d := dialer{o: o, address: o.ConnectTo, names: newNameDialer(o)}
	if o.Origin.Scheme == "https" {
		d.originTLS = clientTLSConfig(o.TLS, o.Origin.Hostname())
	}
	if d.address != "" {
		return d, nil
	}
	d.address = hostPort(o.Origin)
	if o.Proxy == nil {
		return d, nil
	}
	proxy, err := o.Proxy(o.Origin)
	if proxy == nil || err != nil {
		return d, err
	}
	return d, d.useProxy(proxy)
}

// useProxy makes d connect through proxy.
func (d *dialer) useProxy(proxy *url.URL) error {
	switch proxy.Scheme {
	case "https":
		d.proxyTLS = clientTLSConfig(d.o.TLS, proxy.Hostname())
	case "http":
	default:
		return fmt.Errorf("http1: the HTTP proxy has the scheme %q, not http or https; correct HTTPS_PROXY or HTTP_PROXY", proxy.Scheme)
	}
	var auth string
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password))
	}
	if d.originTLS != nil {
		d.tunnel, d.tunnelAuth = d.address, auth
	} else {
		d.targetPrefix, d.requestAuth = "http://"+d.o.Origin.Host, auth
	}
	d.address = hostPort(proxy)
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// sessionCacheSize is the number of TLS sessions kept for resumption. It is small, since
// crypto/tls keeps one per server name.
const sessionCacheSize = 8

func clientTLSConfig(base *tls.Config, host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		c = base.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if c.ClientSessionCache == nil {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCacheSize)
	}
	c.NextProtos = []string{"http/1.1"}
	c.DynamicRecordSizingDisabled = true
	return c
}

// dial opens one connection within DialTimeout.
func (d *dialer) dial(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.DialTimeout)
	defer cancel()
	raw, err := d.names.dialHostPort(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(pastDeadline) })
	s, err := d.handshake(ctx, raw)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return s, nil
}

// handshake does the TLS handshakes and CONNECT.
func (d *dialer) handshake(ctx context.Context, raw net.Conn) (*stream, error) {
	if d.proxyTLS != nil {
		proxyConn := tls.Client(raw, d.proxyTLS)
		if err := proxyConn.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake with the HTTP proxy: %w; check HTTPS_PROXY and the certificate of the HTTP proxy", err)
		}
		raw = proxyConn
	}
	if d.tunnel != "" {
		if err := d.openTunnel(raw); err != nil {
			return nil, err
		}
	}
	s := newStream(raw, d.o.StallTimeout, 1)
	if d.originTLS == nil {
		return s, nil
	}
	s.startTLS(func(c net.Conn) *tls.Conn { return tls.Client(c, d.originTLS) })
	return s, s.tls.HandshakeContext(ctx)
}

// openTunnel sends CONNECT to the proxy (RFC 9110, 9.3.6).
func (d *dialer) openTunnel(raw net.Conn) error {
	request := "CONNECT " + d.tunnel + " HTTP/1.1\r\nHost: " + d.tunnel + "\r\n"
	if d.tunnelAuth != "" {
		request += "Proxy-Authorization: " + d.tunnelAuth + "\r\n"
	}
	if _, err := raw.Write([]byte(request + "\r\n")); err != nil {
		return fmt.Errorf("CONNECT to the HTTP proxy: %w; check HTTPS_PROXY", err)
	}
	r := reader{src: raw}
	head, err := r.readHead(nil, d.o.Limits, 0)
	if err != nil {
		return fmt.Errorf("CONNECT to the HTTP proxy: %w; check HTTPS_PROXY", err)
	}
	h := ResponseHead{Head: Head{raw: head}}
	if err := h.parse(d.o.Limits, "CONNECT"); err != nil {
		return fmt.Errorf("CONNECT to the HTTP proxy: %w; check HTTPS_PROXY", err)
	}
	if h.Status/100 != 2 || r.buffered() > 0 {
		// The reason phrase of the proxy could contain anything, so the error has the standard one.
		return fmt.Errorf("the HTTP proxy refused CONNECT with %d %s; check HTTPS_PROXY and its user and password", h.Status, http.StatusText(h.Status))
	}
	return nil
}
