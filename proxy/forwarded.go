package proxy

import (
	"bytes"

	"cosproxy/proxy/http1"
)

// forwarded are the header fields of a client that COS gets, besides x-cos-* and
// x-ci-*: those that are signed, and those that COS documents ("Common request
// headers", "GET Object", "PUT Object", "Hotlink protection") or has to see, since
// a Range without its If-Range, or an Accept that picks a picture's format, would
// mean something else. Anything else may mean something to a server behind COS's
// name and is covered by no signature.
var forwarded = newFieldSet(
	"Access-Control-Request-Headers",
	"Access-Control-Request-Method",
	"Cache-Control",
	"Content-Disposition",
	"Content-Encoding",
	"Content-MD5",
	"Content-Type",
	"Expires",
	"If-Match",
	"If-Modified-Since",
	"If-None-Match",
	"If-Unmodified-Since",
	"Origin",
	"Pic-Operations",
	"Range",

	// Not signed.
	"Accept",
	"Accept-Encoding",
	"Content-Language",
	"Date",
	"If-Range",
	"Referer",
	"User-Agent",
)

// isForwarded reports whether COS gets a header field.
// A name with _ is not forwarded, since servers that read _ as - would take
// x-cos-grant_read for x-cos-grant-read, except in metadata, which is only stored.
func isForwarded(name []byte) bool {
	if http1.HasPrefixFold(name, "x-cos-") || http1.HasPrefixFold(name, "x-ci-") {
		return !http1.EqualFold(name, "x-cos-security-token") && !http1.EqualFold(name, "x-ci-security-token") &&
			(bytes.IndexByte(name, '_') < 0 || http1.HasPrefixFold(name, "x-cos-meta-"))
	}
	return forwarded.has(name)
}

// hopByHop are the fields of one connection (RFC 9110, 7.6.1), and those that frame
// the body, which the server writes itself.
var hopByHop = newFieldSet(
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
)
