package proxy

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// rewrite builds the outbound request: the route's URL and Host, the client's
// end-to-end headers, the body's length as the client announced it. Signing
// comes after, so nothing that leaves is unsigned or changed once signed.
func (p *Proxy) rewrite(r *http.Request, op operation, q query, up *upload) (*http.Request, error) {
	if r.ContentLength < 0 && (op.action != actionPrefix+"PutObject" || r.Header.Get("X-Cos-Copy-Source") != "") {
		// COS takes a body of unknown length for PUT Object only.
		return nil, errorf(http.StatusLengthRequired, "MissingContentLength",
			"COS needs the body's length for this request. Send a Content-Length header instead of Transfer-Encoding: chunked.")
	}
	out := r.WithContext(r.Context())
	out.URL = &url.URL{
		Scheme:   p.endpoint.Scheme,
		Host:     p.endpoint.Host,
		Path:     r.URL.Path,
		RawPath:  r.URL.RawPath,
		RawQuery: q.raw,
	}
	out.Host = p.endpoint.Host
	out.RequestURI = ""
	out.TransferEncoding = nil
	out.Trailer = nil
	out.Close = false
	out.Header = outboundHeader(r.Header)
	out.Body = up.body()
	out.GetBody = nil
	return out, nil
}

// hopByHop are the headers of one connection (RFC 9110, 7.6.1).
var hopByHop = map[string]bool{
	"Connection":          true,
	"Keep-Alive":          true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
}

// notForwarded are the end-to-end request headers that COS must not get from
// a client: its own signature and token, what names the inside of the network,
// and cookies, which browsers share between all ports of localhost.
var notForwarded = map[string]bool{
	"Authorization":        true,
	"X-Cos-Security-Token": true,
	"X-Ci-Security-Token":  true,
	"Expect":               true,
	"Forwarded":            true,
	"Cookie":               true,
	"X-Real-Ip":            true,
}

// outboundHeader copies the headers that go on to COS. Hop-by-hop headers, and
// those that Connection names, are left out before anything is signed.
func outboundHeader(in http.Header) http.Header {
	named := connectionOptions(in)
	// Room for what signing adds: growing a map costs more than both headers.
	out := make(http.Header, len(in)+3)
	for k, v := range in {
		if hopByHop[k] || notForwarded[k] || named[k] ||
			strings.HasPrefix(k, "Proxy-") || strings.HasPrefix(k, "X-Forwarded-") {
			continue
		}
		out[k] = v
	}
	if _, ok := out["User-Agent"]; !ok {
		// net/http would send its own name for a client that sent none.
		out["User-Agent"] = nil
	}
	return out
}

// connectionOptions returns the canonical names that Connection lists.
func connectionOptions(h http.Header) map[string]bool {
	var named map[string]bool
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.TrimString(name)
			if name == "" || strings.EqualFold(name, "close") || strings.EqualFold(name, "keep-alive") {
				continue
			}
			if named == nil {
				named = make(map[string]bool)
			}
			named[textproto.CanonicalMIMEHeaderKey(name)] = true
		}
	}
	return named
}
