package guard

import (
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"

	"cosproxy/proxy/internal/coserr"
)

// Handler wraps a net/http handler, such as an admin page. It responds to requests that
// Check rejects with an error in COS's XML form, and passes the others to h. name returns
// the name of a setting for messages; nil means Setting.String. Handler does not log the
// cause of a 503; the Token must.
func (g *Guard) Handler(h http.Handler, name func(coserr.Setting) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := Request{Method: r.Method, Host: r.Host, Secure: r.TLS != nil, Fields: r.Header}
		req.Local, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if r.URL.IsAbs() {
			req.Scheme = r.URL.Scheme
		}
		var rejection *coserr.Error
		if errors.As(g.Check(&req), &rejection) {
			g.reject(w, r, rejection, name)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// reject writes an error in COS's XML form.
func (g *Guard) reject(w http.ResponseWriter, r *http.Request, e *coserr.Error, name func(coserr.Setting) string) {
	id := coserr.NewRequestID()
	header := w.Header()
	header["x-cos-request-id"] = []string{id}
	header.Set("Server", "cosproxy")
	header.Set("Content-Type", "application/xml")
	if vary, origin := g.AllowOrigin(r.Header); vary {
		header.Set("Vary", "Origin")
		if origin != "" {
			header.Set("Access-Control-Allow-Origin", origin)
		}
	}
	if e.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	switch e.Status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="cosproxy"`)
	case http.StatusProxyAuthRequired:
		header.Set("Proxy-Authenticate", `Basic realm="cosproxy"`)
	}
	resource := coserr.Truncate(coserr.Host(r.Host) + r.URL.EscapedPath())
	body := coserr.Document{Code: e.Code, Message: e.Text(name), Resource: resource, RequestID: id}.Bytes()
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails only if the client has left
	}
}
