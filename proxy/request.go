package proxy

import (
	"net"
	"net/http"
	"strings"

	"cosproxy/proxy/guard"
	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// request is what a client asked for. It is written by parse alone.
type request struct {
	head   *http1.RequestHead // valid until the end of the exchange
	method string             // one of those that COS knows
	target cosreq.Target
	query  cosreq.Query
	host   string // of an absolute target, else the Host field, as the client wrote it
	name   string // host in one spelling, without a port
	secure bool   // the client speaks TLS
	local  net.Addr
}

// parse reads the head of a request. After an error the request is good for an
// error document and a log line, as far as it was read.
func parse(x *http1.Exchange) (request, error) {
	r := request{head: &x.Request, method: cosreq.KnownMethod(x.Request.Method), secure: x.TLS(), local: x.LocalAddr()}
	r.host = string(x.Request.Get("Host"))
	target, err := cosreq.ParseTarget(string(x.Request.Target))
	if err == nil {
		r.target = target
		if target.Host != "" {
			r.host = target.Host // RFC 9112, 3.2.2
		}
	}
	r.name = cosreq.Hostname(r.host)
	if r.method == "" {
		return r, unknownMethod(x.Request.Method)
	}
	if err != nil {
		return r, err
	}
	r.query, err = cosreq.ParseQuery(target.RawQuery)
	return r, err
}

func unknownMethod(method []byte) error {
	if string(method) == http.MethodConnect {
		return coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"CONNECT would hide the request from cosproxy. Send plain http:// requests to it; it talks TLS to COS itself.")
	}
	return coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
		"COS has no method %q. Use one of %s.", method, cosreq.AllowedMethods)
}

// key is the key in the path, for the log.
func (r *request) key() string {
	return strings.TrimPrefix(r.target.Path, "/")
}

// resource is what an error document names.
func (r *request) resource() string { return coserr.Truncate(coserr.Host(r.host) + r.target.RawPath) }

// has reports whether there is a field with this name.
func (r *request) has(name string) bool { return r.head.Get(name) != nil }

// Values implements guard.Fields.
func (r *request) Values(name string) []string {
	var values []string
	for _, f := range r.head.Fields {
		if http1.EqualFold(f.Name, name) {
			values = append(values, string(f.Value))
		}
	}
	return values
}

// guardRequest is the request as the guard sees it.
func (r *request) guardRequest() *guard.Request {
	return &guard.Request{
		Method: r.method, Host: r.host, Scheme: r.target.Scheme, Secure: r.secure, Local: r.local, Fields: r,
	}
}

// readsOnly reports whether the request is a GET or HEAD.
func (r *request) readsOnly() bool { return cosreq.ReadsOnly(r.method) }
