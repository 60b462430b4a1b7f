package proxy

import (
	"net"
	"net/http"
	"strings"

	"cosproxy/proxy/guard"
	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/awschunked"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// request is a parsed client request. Only parse, setDialect and applyDialect
// set its fields.
type request struct {
	head   *http1.RequestHead // valid until the end of the exchange
	method string             // a method of COS's API; empty for any other
	target cosreq.Target
	query  cosreq.Query
	host   string // host of an absolute target, else the Host field, as received
	name   string // host as cosreq.Hostname normalizes it
	secure bool   // the client uses TLS
	local  net.Addr

	dialect dialect
	signed  bool               // the client has signed the request; the signature is not verified
	coding  *awschunked.Coding // of the body; nil: it is not aws-chunked
}

// parse reads the request header. After an error the request has the fields that an
// error document and a log line need, as far as they were parsed.
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
	dialectErr := r.parseScheme()
	switch {
	case r.method == "":
		return r, unknownMethod(x.Request.Method)
	case err != nil:
		return r, err
	case dialectErr != nil:
		return r, dialectErr
	}
	r.query, err = cosreq.ParseQuery(target.RawQuery)
	return r, err
}

func unknownMethod(method []byte) error {
	if string(method) == http.MethodConnect {
		return coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"cosproxy cannot sign requests inside a CONNECT tunnel. Use http:// URLs; cosproxy itself uses TLS to COS.")
	}
	return coserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed",
		"COS does not support the method %q. Use one of %s.", method, cosreq.AllowedMethods)
}

// key returns the object key in the path, for the log.
func (r *request) key() string {
	return strings.TrimPrefix(r.target.Path, "/")
}

// resource returns the Resource of an error document.
func (r *request) resource() string { return coserr.Truncate(coserr.Host(r.host) + r.target.RawPath) }

// has reports whether the request has a header field with this name.
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

// guardRequest returns the part of the request that the guard checks.
func (r *request) guardRequest() *guard.Request {
	return &guard.Request{
		Method: r.method, Host: r.host, Scheme: r.target.Scheme, Secure: r.secure, Local: r.local, Fields: r,
	}
}

// readsOnly reports whether the request is a GET or HEAD.
func (r *request) readsOnly() bool { return cosreq.ReadsOnly(r.method) }
