package proxy

import (
	"io"
	"net/http"
	"strings"
)

// forwarded are the headers of a client that go on to COS, beside X-Cos-* and
// X-Ci-*: those that are signed, and those that COS documents ("Common request
// headers", "GET Object", "PUT Object", "Hotlink protection") or has to see, since
// a Range without its If-Range, or an Accept that picks a picture's format, would
// mean something else. Anything else may mean something to a server behind COS's
// name and is covered by no signature.
var forwarded = map[string]bool{
	"Access-Control-Request-Headers": true,
	"Access-Control-Request-Method":  true,
	"Cache-Control":                  true,
	"Content-Disposition":            true,
	"Content-Encoding":               true,
	"Content-Md5":                    true,
	"Content-Type":                   true,
	"Expires":                        true,
	"If-Match":                       true,
	"If-Modified-Since":              true,
	"If-None-Match":                  true,
	"If-Unmodified-Since":            true,
	"Origin":                         true,
	"Pic-Operations":                 true,
	"Range":                          true,

	// Not signed.
	"Accept":           true,
	"Accept-Encoding":  true,
	"Content-Language": true,
	"Date":             true,
	"If-Range":         true,
	"Referer":          true,
	"User-Agent":       true,
}

// isForwarded reports whether a header, by its canonical name, goes on to COS.
// A name with _ does not, since servers that read _ as - would take x-cos-grant_read
// for x-cos-grant-read, except in metadata, which is only stored.
func isForwarded(name string) bool {
	if forwarded[name] {
		return true
	}
	own := strings.HasPrefix(name, "X-Cos-") || strings.HasPrefix(name, "X-Ci-")
	return own && name != "X-Cos-Security-Token" && name != "X-Ci-Security-Token" &&
		(!strings.Contains(name, "_") || strings.HasPrefix(name, "X-Cos-Meta-"))
}

// checkNoBody refuses the body of a GET or HEAD. COS gives none a meaning (RFC 9110,
// 9.3.1), and no signature covers it. An empty one counts as none, also in chunks.
func (x *exchange) checkNoBody() error {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead || x.upload.empty() {
		return nil
	}
	if x.r.ContentLength < 0 {
		var first [1]byte
		_, err := io.ReadFull(&x.upload, first[:])
		x.upload.watchdog.stop()
		switch {
		case err == io.EOF:
			x.r.ContentLength, x.r.Body, x.r.TransferEncoding = 0, http.NoBody, nil
			return nil
		case err != nil:
			return x.failure(err)
		}
	}
	return errorf(http.StatusBadRequest, "InvalidRequest",
		"%s has a body, which COS gives no meaning. Leave it out, or send it with PUT or POST.", x.r.Method)
}
