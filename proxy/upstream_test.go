package proxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cosproxy/proxy"
)

func TestEndpoint_Template(t *testing.T) {
	for _, tt := range []struct{ endpoint, host string }{
		{plainCOS, cosHost},
		{"http://{bucket}.cos-internal.{region}.tencentcos.cn/", bucket + ".cos-internal." + region + ".tencentcos.cn"},
		{"http://{bucket}.cos.accelerate.myqcloud.com", bucket + ".cos.accelerate.myqcloud.com"},
		{"http://files.example.com:8080", "files.example.com:8080"},
	} {
		t.Run(tt.endpoint, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Endpoint = tt.endpoint }})
			r.get(t, "/key")
			if got := r.upstream.only(t).Host; got != tt.host {
				t.Errorf("Host %s, want %s", got, tt.host)
			}
			if rep := r.exchange(t, "GET /key HTTP/1.1\r\nHost: "+tt.host+"\r\n\r\n"); rep.status != http.StatusOK {
				t.Errorf("the bucket's own host is refused: %d", rep.status)
			}
		})
	}
}

func TestNew_InvalidOptions(t *testing.T) {
	route := func(change func(*proxy.Route)) proxy.Options {
		r := proxy.Route{Bucket: bucket, Region: region, Credentials: newCredentials(1)}
		change(&r)
		return proxy.Options{Routes: []proxy.Route{r}}
	}
	endpoint := func(e string) proxy.Options { return route(func(r *proxy.Route) { r.Endpoint = e }) }
	prefix := func(p string) proxy.Options { return route(func(r *proxy.Route) { r.PathPrefix = p }) }
	tests := []struct {
		name    string
		options proxy.Options
		says    string
	}{
		{"no bucket", route(func(r *proxy.Route) { r.Bucket = "" }), "bucket"},
		{"no region", route(func(r *proxy.Route) { r.Region = "" }), "Region"},
		{"no credentials", route(func(r *proxy.Route) { r.Credentials = nil }), "Credentials"},
		{"no routes", proxy.Options{}, "Routes"},
		{"prefix without slashes", prefix("photos"), "slash"},
		{"prefix without the last slash", prefix("/photos"), "slash"},
		{"prefix that is not clean", prefix("/a//b/"), "segments"},
		{"prefix with dots", prefix("/../"), "segments"},
		{"prefix that needs escapes", prefix("/a b/"), "letters"},
		{"no scheme", endpoint("{bucket}.cos.{region}.myqcloud.com"), "https://"},
		{"other scheme", endpoint("ftp://{bucket}.example"), "https://"},
		{"no host", endpoint("https://"), "host"},
		{"port alone", endpoint("https://:443"), "host"},
		{"port too high", endpoint("https://cos.example:65536"), "65535"},
		{"port zero", endpoint("https://cos.example:0"), "65535"},
		{"unknown placeholder", endpoint("https://{appid}.example"), "{bucket}"},
		{"path", endpoint("https://cos.example/{bucket}"), "host and port"},
		{"query", endpoint("https://cos.example?a=1"), "host and port"},
		{"fragment", endpoint("https://cos.example#a"), "host and port"},
		{"user", endpoint("https://user:password@cos.example"), "user"},
		{"user alone", endpoint("https://password@cos.example"), "user"},
		{"user without scheme", endpoint("user:password@cos.example"), "user"},
		{"user of no URL", endpoint("https://user:password@cos.example:port"), "user"},
		{"user and a placeholder", endpoint("https://user:password@{appid}.example"), "user"},
		{"at sign in the path", endpoint("https://cos.example/password@"), "user"},
		{"not a URL", endpoint("https://cos.example:port"), "URL"},
		{"not ASCII", endpoint("https://{bucket}.cös.example"), "Punycode"},
		{"ideographs", endpoint("https://存储.example"), "Punycode"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := proxy.New(tt.options)
			if err == nil || p != nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want an error that speaks of %q", err, tt.says)
			}
			if strings.Contains(err.Error(), "password") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
	if _, err := proxy.New(route(func(*proxy.Route) {})); err != nil {
		t.Errorf("the least that is needed is refused: %v", err)
	}
}

// tlsServer is an upstream with TLS and a certificate for example.com from an unknown
// CA.
func tlsServer(t *testing.T) (addr string, ca *x509.CertPool, hellos chan string) {
	t.Helper()
	hellos = make(chan string, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Host", r.Host)
	}))
	s.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		hellos <- hello.ServerName + " " + strings.Join(hello.SupportedProtos, ",")
		return nil, nil
	}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = x509.NewCertPool()
	ca.AddCert(s.Certificate())
	return s.Listener.Addr().String(), ca, hellos
}

// startTLSUpstream starts a rig whose COS supports one version of TLS.
func startTLSUpstream(t *testing.T, version uint16, h http.HandlerFunc) *rig {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := x509.NewCertPool()
	ca.AddCert(s.Certificate())
	return start(t, setup{
		options:  func(o *proxy.Options) { o.Routes[0].Endpoint = "https://{bucket}.example.com" },
		upstream: proxy.Upstream{ConnectTo: s.Listener.Addr().String(), RootCAs: ca},
	})
}

// A new connection resumes the TLS session of an earlier one.
func TestUpstream_TLSSessionsResumed(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			resumed := make(chan bool, 2)
			r := startTLSUpstream(t, version, func(w http.ResponseWriter, r *http.Request) {
				resumed <- r.TLS.DidResume
				w.Header().Set("Connection", "close")
			})
			for range 2 {
				if rep := r.get(t, "/key"); rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
			}
			if <-resumed || !<-resumed {
				t.Error("the second connection begins a TLS session of its own")
			}
		})
	}
}

// ConnectTo only changes the dialed address: Host and TLS server name stay, also for a
// private endpoint.
func TestUpstream_ConnectTo(t *testing.T) {
	addr, ca, hellos := tlsServer(t)
	r := start(t, setup{
		options:  func(o *proxy.Options) { o.Routes[0].Endpoint = "https://{bucket}.example.com" },
		upstream: proxy.Upstream{ConnectTo: addr, RootCAs: ca},
	})
	rep := r.get(t, "/key")
	// The test certificate is for example.com and *.example.com.
	if rep.status != http.StatusOK || rep.header.Get("X-Host") != bucket+".example.com" {
		t.Fatalf("got\n%s%s\n%s", rep.head, rep.body, r.log)
	}
	if hello := <-hellos; strings.TrimSuffix(hello, "http/1.1") != bucket+".example.com " {
		t.Errorf("TLS hello %q", hello)
	}
}

// A server with an invalid certificate receives no request and no signature.
func TestUpstream_UnknownCertificate(t *testing.T) {
	addr, ca, _ := tlsServer(t)
	for name, tt := range map[string]struct {
		endpoint string
		ca       *x509.CertPool
	}{
		"unknown CA":   {"https://example.com", x509.NewCertPool()},
		"another name": {"https://{bucket}.cos.{region}.myqcloud.com", ca},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{
				options:  func(o *proxy.Options) { o.Routes[0].Endpoint = tt.endpoint },
				upstream: proxy.Upstream{ConnectTo: addr, RootCAs: tt.ca},
			})
			rep := r.get(t, "/key")
			if rep.status != http.StatusBadGateway {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			checkCause(t, r, rep.body, "x509")
		})
	}
}

// Without ConnectTo the endpoint is dialed.
func TestUpstream_EndpointDialed(t *testing.T) {
	k := newCredentials(1)
	up := newUpstream(t, listen(t), k, nil)
	_, port, err := net.SplitHostPort(up.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, setup{creds: k, options: func(o *proxy.Options) {
		o.Routes[0].Endpoint = "http://127.0.0.1:" + port
		o.Upstream = proxy.Upstream{}
	}})
	if rep := r.get(t, "/key"); rep.status != http.StatusOK {
		t.Fatalf("got\n%s%s", rep.head, rep.body)
	}
	if got := up.only(t).Host; got != "127.0.0.1:"+port {
		t.Errorf("Host %s", got)
	}
}
