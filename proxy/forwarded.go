package proxy

import (
	"bytes"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/s3req"
)

// forwarded are the header fields of clients that are sent to COS in addition to x-cos-*
// and x-ci-*: those that the signature covers, and those that COS documents ("Common
// request headers", "GET Object", "PUT Object", "Hotlink protection") or that change the
// meaning of others, such as If-Range for Range, or Accept for the format of a picture.
// No signature covers any other field, but a server at COS's host might act on it.
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

	// The signature does not cover these.
	"Accept",
	"Accept-Encoding",
	"Content-Language",
	"Date",
	"If-Range",
	"Referer",
	"User-Agent",
)

// forwards reports whether a header field of the request is sent to COS.
func (r *request) forwards(name []byte) bool {
	if r.dialect == dialectS3 {
		return forwarded.has(name) || http1.HasPrefixFold(name, s3req.Prefix) && s3req.FieldUse(name) == s3req.Forward
	}
	return isForwarded(name)
}

// isForwarded reports whether a header field is sent to COS in its own dialect. It rejects names with _,
// except for metadata, which COS only stores: servers that read _ as - would take
// x-cos-grant_read for x-cos-grant-read.
func isForwarded(name []byte) bool {
	if http1.HasPrefixFold(name, "x-cos-") || http1.HasPrefixFold(name, "x-ci-") {
		return !http1.EqualFold(name, "x-cos-security-token") && !http1.EqualFold(name, "x-ci-security-token") &&
			(bytes.IndexByte(name, '_') < 0 || http1.HasPrefixFold(name, "x-cos-meta-"))
	}
	return forwarded.has(name)
}

// hopByHop are the fields that are valid for one connection only (RFC 9110, 7.6.1), and
// Content-Length, which the server writes itself.
var hopByHop = newFieldSet(
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
)
