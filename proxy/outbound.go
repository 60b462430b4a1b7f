package proxy

import (
	"bytes"
	"net/http"
	"strconv"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/s3req"
	"cosproxy/signer"
)

// outbound is the header of a request to COS without the signature. The same bytes are
// signed and sent.
type outbound struct {
	method  string
	path    string // decoded
	rawPath string
	query   string
	fields  []signer.Field // Host first

	dialect dialect
	payload string // x-amz-content-sha256, with dialectS3
}

// build returns the request header for COS, from those header fields of the client that
// are forwarded. Signing comes later, so nothing changes a signed request. build reuses
// memory for the fields.
func build(c *candidate, req *request, b *body, via *via, memory []signer.Field) (outbound, error) {
	if err := checkConnection(req); err != nil {
		return outbound{}, err
	}
	o := outbound{method: req.method, path: c.path, rawPath: c.rawPath, query: c.query.Raw, dialect: req.dialect, payload: b.payload}
	if req.dialect == dialectS3 {
		o.rawPath = canonicalPath(c)
	}
	o.fields = memory[:0]
	o.add(fieldHost, c.hostField())
	hasConnection := req.has("Connection")
	for _, f := range req.head.Fields {
		switch {
		case b.form != nil && !formFields.has(f.Name), !req.forwards(f.Name), hasConnection && connectionOption(&req.head.Head, f.Name):
		case c.source != nil && http1.EqualFold(f.Name, c.source.header):
			o.add(f.Name, []byte(c.source.field(c.route)))
		case req.dialect == dialectS3 && http1.EqualFold(f.Name, "Content-Encoding"):
			if rest, _ := s3req.DecodedEncoding(string(f.Value)); rest != "" {
				o.add(f.Name, []byte(rest))
			}
		case b.md5 != "" && http1.EqualFold(f.Name, "Content-MD5"): // an empty one
		default:
			o.fields = append(o.fields, signer.Field(f))
		}
	}
	o.add(fieldVia, via.value(req))
	if b.md5 != "" {
		o.add(fieldMD5, []byte(b.md5))
	}
	if b.form != nil {
		o.add(fieldContentType, []byte(b.form.contentType()))
		return o, nil // Content-Length depends on the signature
	}
	o.addLength(b.length)
	return o, nil
}

// canonicalPath returns the path in the one form that has an unambiguous signature in the
// dialect of S3.
func canonicalPath(c *candidate) string {
	var buf [256]byte
	canonical := signer.AppendS3Path(buf[:0], c.path)
	if string(canonical) == c.rawPath {
		return c.rawPath
	}
	return string(canonical)
}

// Names of fields that cosproxy adds.
var (
	fieldHost        = []byte("Host")
	fieldVia         = []byte("Via")
	fieldMD5         = []byte("Content-MD5")
	fieldContentType = []byte("Content-Type")
	fieldLength      = []byte("Content-Length")
	fieldEncoding    = []byte("Transfer-Encoding")
	fieldRange       = []byte("Range")
	fieldIfMatch     = []byte("If-Match")

	valueChunked = []byte("chunked")
	valueZero    = []byte("0")
)

func (o *outbound) add(name, value []byte) {
	o.fields = append(o.fields, signer.Field{Name: name, Value: value})
}

// addLength adds the framing field of the body. A GET, HEAD or DELETE without a body gets
// no Content-Length: some servers reject it.
func (o *outbound) addLength(length int64) {
	switch {
	case length < 0:
		o.add(fieldEncoding, valueChunked)
	case length > 0:
		o.add(fieldLength, strconv.AppendInt(nil, length, 10))
	case o.method == http.MethodPut || o.method == http.MethodPost:
		o.add(fieldLength, valueZero)
	}
}

// with returns a GET of the same object with a range and without some fields.
func (o *outbound) with(byteRange string, without *fieldSet) outbound {
	again := outbound{method: http.MethodGet, path: o.path, rawPath: o.rawPath, query: o.query, dialect: o.dialect, payload: emptyPayload}
	for _, f := range o.fields {
		if !without.has(f.Name) && !http1.EqualFold(f.Name, "Range") && !http1.EqualFold(f.Name, "Content-Length") {
			again.fields = append(again.fields, f)
		}
	}
	again.add(fieldRange, []byte(byteRange))
	return again
}

// target returns the request target on the wire.
func (o *outbound) target(prefix string) string {
	switch {
	case o.query != "":
		return prefix + o.rawPath + "?" + o.query
	case prefix != "":
		return prefix + o.rawPath
	}
	return o.rawPath
}

// hostField returns the value of Host, without an allocation if the endpoint is that of
// the route.
func (c *candidate) hostField() []byte {
	if c.endpoint == c.route.endpoint {
		return c.route.upstream.host
	}
	return []byte(c.endpoint.Host)
}

// checkConnection rejects a Connection field that names a field which determines what the
// request does: without it, COS would do something else.
func checkConnection(req *request) error {
	for name := range req.head.Elements("Connection") {
		if http1.EqualFold(name, "close") || http1.EqualFold(name, "keep-alive") || http1.EqualFold(name, "User-Agent") || http1.EqualFold(name, "Accept") {
			continue
		}
		if http1.HasPrefixFold(name, "x-cos-") || http1.HasPrefixFold(name, "x-ci-") || http1.HasPrefixFold(name, s3req.Prefix) || http1.HasPrefixFold(name, "content-") || isForwarded(name) {
			return coserr.New(http.StatusBadRequest, "InvalidRequest",
				"The Connection header lists %[1]s, so a proxy must remove %[1]s, which changes the request. Remove %[1]s from the Connection header.", http.CanonicalHeaderKey(string(name)))
		}
	}
	return nil
}

// connectionOption reports whether Connection lists a field, which makes that field
// hop-by-hop (RFC 9110, 7.6.1).
func connectionOption(h *http1.Head, name []byte) bool {
	for option := range h.Elements("Connection") {
		if bytes.EqualFold(option, name) {
			return true
		}
	}
	return false
}
