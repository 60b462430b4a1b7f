package signer

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// pair is one signed header or query parameter. key is encoded and lower-cased. value is not
// encoded, because pairs with equal keys are sorted by their unencoded values.
type pair struct{ key, value span }

// span is a part of canonical.arena. It is not a slice, so that a pair holds no pointer and
// the garbage collector does not scan pairs.
type span struct{ from, to int }

// canonical is the canonical request: the signed parts of a request in their signed form. Its
// buffers are reused for the next request.
type canonical struct {
	headers, params []pair
	arena           []byte
	text            []byte // HttpString, then StringToSign
	authorization   []byte
}

func (c *canonical) reset() {
	c.headers, c.params, c.arena = c.headers[:0], c.params[:0], c.arena[:0]
}

func (c *canonical) bytes(s span) []byte { return c.arena[s.from:s.to] }

// since returns the span from an earlier length of the arena to its end.
func (c *canonical) since(from int) span { return span{from, len(c.arena)} }

// addKey encodes a header name. Pass the result to addValue.
func (c *canonical) addKey(name string) span {
	from := len(c.arena)
	c.arena = appendKey(c.arena, name)
	return c.since(from)
}

// addValue adds one header value as it will be on the wire.
func (c *canonical) addValue(key span, value string) {
	from := len(c.arena)
	c.arena = append(c.arena, value...)
	c.headers = append(c.headers, pair{key, c.since(from)})
}

func (c *canonical) addContentLength(length int64) {
	key, from := c.addKey("content-length"), len(c.arena)
	c.arena = strconv.AppendInt(c.arena, length, 10)
	c.headers = append(c.headers, pair{key, c.since(from)})
}

// addQuery adds every parameter of a raw query, including repeated ones. A parameter without
// "=" has an empty value: "?acl" and "?acl=" have the same signature.
func (c *canonical) addQuery(raw string) error {
	for raw != "" {
		var parameter string
		parameter, raw, _ = strings.Cut(raw, "&")
		if parameter == "" {
			continue
		}
		key, value, _ := strings.Cut(parameter, "=")
		if err := c.addParam(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *canonical) addParam(rawKey, rawValue string) error {
	var err error
	decoded := len(c.arena)
	if c.arena, err = appendUnescaped(c.arena, rawKey); err != nil {
		return err
	}
	from := len(c.arena)
	c.arena = appendKey(c.arena, c.arena[decoded:])
	key := c.since(from)
	from = len(c.arena)
	if c.arena, err = appendUnescaped(c.arena, rawValue); err != nil {
		return err
	}
	c.params = append(c.params, pair{key, c.since(from)})
	return nil
}

// sort sorts both lists by key, as the document says, and equal keys by value, as the Go SDK
// does (valuesSignMap.Encode).
func (c *canonical) sort() {
	slices.SortFunc(c.headers, c.compare)
	slices.SortFunc(c.params, c.compare)
}

func (c *canonical) compare(a, b pair) int {
	if order := bytes.Compare(c.bytes(a.key), c.bytes(b.key)); order != 0 {
		return order
	}
	return bytes.Compare(c.bytes(a.value), c.bytes(b.value))
}

// appendHTTPString appends HttpString. path is decoded and begins with "/". An empty method is
// GET, as in net/http.
func (c *canonical) appendHTTPString(dst []byte, method, path string) []byte {
	if method == "" {
		method = "GET"
	}
	for i := range len(method) {
		dst = append(dst, lower(method[i]))
	}
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	dst = c.appendPairs(dst, c.params)
	dst = append(dst, '\n')
	dst = c.appendPairs(dst, c.headers)
	return append(dst, '\n')
}

// appendStringToSign appends StringToSign for an HttpString.
func appendStringToSign(dst, httpString []byte, keyTime string) []byte {
	digest := sha1.Sum(httpString)
	dst = append(dst, "sha1\n"...)
	dst = append(dst, keyTime...)
	dst = append(dst, '\n')
	dst = hex.AppendEncode(dst, digest[:])
	return append(dst, '\n')
}

// appendPairs appends HttpParameters or HttpHeaders: key=value joined by "&".
func (c *canonical) appendPairs(dst []byte, pairs []pair) []byte {
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, c.bytes(p.key)...)
		dst = append(dst, '=')
		dst = appendEscaped(dst, c.bytes(p.value))
	}
	return dst
}

// appendList appends q-url-param-list or q-header-list: the keys joined by ";", including
// repeated ones.
func (c *canonical) appendList(dst []byte, pairs []pair) []byte {
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, c.bytes(p.key)...)
	}
	return dst
}
