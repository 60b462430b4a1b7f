package signer

import (
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
)

const (
	authorizationHeader = "Authorization"
	tokenHeader         = "X-Cos-Security-Token"
)

// addHeaders adds the signed headers of req, and token as x-cos-security-token. It deletes
// credentials from req, in any spelling.
func (c *canonical) addHeaders(req *http.Request, token string) error {
	host, err := sentHost(req)
	if err != nil {
		return err
	}
	c.addValue(c.addKey("host"), host)
	if length, sent := sentContentLength(req); sent {
		c.addContentLength(length)
	}
	if token != "" {
		c.addValue(c.addKey("x-cos-security-token"), textproto.TrimString(token))
	}
	for name, values := range req.Header {
		key := c.addKey(name)
		switch k := kindOf(c.bytes(key)); {
		case k == signed:
			for _, value := range values {
				c.addValue(key, textproto.TrimString(value)) // as Header.Write does
			}
		case k == credential:
			delete(req.Header, name)
		case k == ownedByNetHTTP && name != http.CanonicalHeaderKey(name):
			return fmt.Errorf("%w: the header %q would be sent in addition to the %s of net/http; delete it",
				ErrRequest, name, http.CanonicalHeaderKey(name))
		}
	}
	return nil
}

// kind classifies a header of the map.
type kind int

const (
	unsigned kind = iota
	signed
	// credential is a header that Sign sets and replaces.
	credential
	// ownedByNetHTTP is a header that net/http writes from other fields of the request. It
	// ignores the canonical key in the map, but sends any other spelling as a second header.
	ownedByNetHTTP
)

// kindOf returns the kind of a lower-cased name. All x-cos-* and x-ci-* headers are signed, and
// those of the Go SDK's list (NeedSignHeaders) that reach COS unchanged. That excludes expect
// and transfer-encoding of the list, because net/http and intermediaries decide on them.
func kindOf(key []byte) kind {
	switch string(key) {
	case "authorization", "x-cos-security-token":
		return credential
	case "host", "content-length", "transfer-encoding":
		return ownedByNetHTTP
	case "cache-control", "content-disposition", "content-encoding", "content-md5", "content-type", "expires",
		"if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "range",
		"access-control-request-headers", "access-control-request-method", "origin",
		"pic-operations":
		return signed
	}
	if bytes.HasPrefix(key, []byte("x-cos-")) || bytes.HasPrefix(key, []byte("x-ci-")) {
		return signed
	}
	return unsigned
}

// sentHost returns the Host header as Request.Write sends it. Write removes an IPv6 zone,
// converts other scripts to punycode, and sends an empty Host instead of an invalid one. No COS
// endpoint needs that, so sentHost returns an error in these cases.
func sentHost(req *http.Request) (string, error) {
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	if host == "" {
		return "", fmt.Errorf("%w: it has no Host; set Request.Host or URL.Host", ErrRequest)
	}
	for i := range len(host) {
		if b := host[i]; unreserved[b] == ' ' && b != ':' && b != '[' && b != ']' {
			return "", fmt.Errorf("%w: Host %q has a character that net/http would change; use host or host:port in ASCII",
				ErrRequest, host)
		}
	}
	return host, nil
}

// sentContentLength returns the Content-Length that net/http will send, and whether it sends
// one (Request.outgoingLength and transferWriter.shouldSendContentLength in net/http). GET, HEAD
// and DELETE without a body have none, even if the forwarded request had "Content-Length: 0".
func sentContentLength(req *http.Request) (int64, bool) {
	switch {
	case req.Body != nil && len(req.TransferEncoding) > 0 && req.TransferEncoding[0] == "chunked":
		return 0, false
	case req.Body == nil || req.Body == http.NoBody:
		return 0, req.Method == http.MethodPut || req.Method == http.MethodPost || req.Method == http.MethodPatch
	default:
		return req.ContentLength, req.ContentLength > 0 // 0 with a body means unknown
	}
}

// removeCredentials deletes the headers of an earlier signature, in any spelling.
func removeCredentials(h http.Header) {
	for name := range h {
		if strings.EqualFold(name, authorizationHeader) || strings.EqualFold(name, tokenHeader) {
			delete(h, name)
		}
	}
}
