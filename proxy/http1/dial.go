package http1

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// dialer makes connections to one origin: directly, through an HTTP proxy that is
// asked with absolute targets (http), or with CONNECT (https).
type dialer struct {
	o            ClientOptions
	address      string // to dial
	tunnel       string // host:port for CONNECT; empty: none
	proxyTLS     *tls.Config
	originTLS    *tls.Config
	targetPrefix string
	requestAuth  string
	tunnelAuth   string
	net          nameDialer
}

func newDialer(o ClientOptions) (dialer, error) {
	d := dialer{o: o, address: o.ConnectTo, net: newNameDialer(o)}
	if o.Origin.Scheme == "https" {
		d.originTLS = tlsFor(o.TLS, o.Origin.Hostname())
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
	return d, d.through(proxy)
}

// through has d go by way of a proxy.
func (d *dialer) through(proxy *url.URL) error {
	switch proxy.Scheme {
	case "https":
		d.proxyTLS = tlsFor(d.o.TLS, proxy.Hostname())
	case "http":
	default:
		return errors.New("http1: the proxy is neither http:// nor https://")
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

// sessions is how many TLS sessions are remembered for resumption: an origin has
// one name.
const sessions = 8

func tlsFor(base *tls.Config, host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		c = base.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if c.ClientSessionCache == nil {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
	}
	c.NextProtos = []string{"http/1.1"}
	c.DynamicRecordSizingDisabled = true
	return c
}

// dial makes one connection.
func (d *dialer) dial(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.DialTimeout)
	defer cancel()
	raw, err := d.net.dialName(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(past) })
	s, err := d.prepare(ctx, raw)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes the tunnel and the handshakes.
func (d *dialer) prepare(ctx context.Context, raw net.Conn) (*stream, error) {
	if d.proxyTLS != nil {
		secure := tls.Client(raw, d.proxyTLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS with the proxy: %w", err)
		}
		raw = secure
	}
	if d.tunnel != "" {
		if err := d.connect(raw); err != nil {
			return nil, err
		}
	}
	s := newStream(raw, d.o.StallTimeout, 1)
	if d.originTLS == nil {
		return s, nil
	}
	s.secure(func(c net.Conn) *tls.Conn { return tls.Client(c, d.originTLS) })
	return s, s.tls.HandshakeContext(ctx)
}

// connect asks the proxy for a tunnel (RFC 9110, 9.3.6).
func (d *dialer) connect(raw net.Conn) error {
	request := "CONNECT " + d.tunnel + " HTTP/1.1\r\nHost: " + d.tunnel + "\r\n"
	if d.tunnelAuth != "" {
		request += "Proxy-Authorization: " + d.tunnelAuth + "\r\n"
	}
	if _, err := raw.Write([]byte(request + "\r\n")); err != nil {
		return fmt.Errorf("CONNECT: %w", err)
	}
	r := reader{src: raw}
	head, err := r.head(nil, d.o.Limits, 0)
	if err != nil {
		return fmt.Errorf("CONNECT: %w", err)
	}
	h := ResponseHead{Head: Head{raw: head}}
	if err := h.parse(d.o.Limits, "CONNECT"); err != nil {
		return fmt.Errorf("CONNECT: %w", err)
	}
	if h.Status/100 != 2 || r.buffered() > 0 {
		// The reason that the proxy gives may quote anything.
		return fmt.Errorf("the HTTP proxy refused CONNECT with %d %s; check HTTPS_PROXY and its user and password", h.Status, http.StatusText(h.Status))
	}
	return nil
}
