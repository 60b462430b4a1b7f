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
func rewrite(x *exchange) (*http.Request, error) {
	r, t := x.r, x.target
	if err := checkLength(r, t); err != nil {
		return nil, err
	}
	if err := checkS3(r.Header); err != nil {
		return nil, err
	}
	if err := t.checkOtherKeys(r.Header); err != nil {
		return nil, err
	}
	header, err := outboundHeader(r.Header)
	if err != nil {
		return nil, err
	}
	if isIdempotent(r, t) {
		// For net/http this says that the request may be sent again on a new
		// connection if COS closed an idle one; without a value nothing is sent.
		header["X-Idempotency-Key"] = nil
	}
	if t.source != nil {
		header["X-Cos-Copy-Source"] = t.source.header(t.route)
	}
	out := r.WithContext(x.ctx)
	out.URL = &url.URL{
		Scheme:   t.endpoint.Scheme,
		Host:     t.endpoint.Host,
		Path:     t.path,
		RawPath:  t.rawPath,
		RawQuery: t.query.raw,
	}
	out.Host = t.endpoint.Host
	out.RequestURI = ""
	out.TransferEncoding = nil
	out.Trailer = nil
	out.Close = false
	out.Header = header
	return out, nil
}

// checkLength refuses a body whose length COS would have to guess. COS takes one
// of unknown length for PUT Object only. A request without any length has no
// body in HTTP/1.1 (RFC 9112, 6.3), but HTTP/1.0 demands one (RFC 1945, 8.3).
func checkLength(r *http.Request, t target) error {
	old := !r.ProtoAtLeast(1, 1) && (r.Method == http.MethodPut || r.Method == http.MethodPost)
	switch {
	case r.ContentLength < 0 && !t.takesChunks(r):
		return errorf(http.StatusLengthRequired, "MissingContentLength",
			"COS needs the body's length for this request, and the body in chunks is longer than %d KiB. Send it with a Content-Length header.", replayLimit>>10)
	case old && r.Header["Content-Length"] == nil:
		return errorf(http.StatusLengthRequired, "MissingContentLength",
			"An HTTP/1.0 upload needs a Content-Length header.")
	}
	return nil
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

// outboundHeader copies the headers that go on to COS. Connection may not name one that
// says what the request does, or COS would do something else.
func outboundHeader(in http.Header) (http.Header, error) {
	named := connectionOptions(in)
	for k := range named {
		if strings.HasPrefix(k, "X-Cos-") || strings.HasPrefix(k, "X-Ci-") || strings.HasPrefix(k, "Content-") ||
			isForwarded(k) && k != "User-Agent" && k != "Accept" {
			return nil, errorf(http.StatusBadRequest, "InvalidRequest",
				"Connection names %s, so COS would do another thing than was asked. Leave it out of Connection.", k)
		}
	}
	// Room for what signing adds: growing a map costs more than both headers.
	out := make(http.Header, len(in)+4)
	for k, v := range in {
		if isForwarded(k) && !named[k] {
			out[k] = v
		}
	}
	if _, ok := out["User-Agent"]; !ok {
		// net/http would send its own name for a client that sent none.
		out["User-Agent"] = nil
	}
	return out, nil
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
