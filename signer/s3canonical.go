package signer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// addS3Date adds x-amz-date and returns its value.
func (c *canonical) addS3Date(now time.Time) span {
	name, from := addLowered(c, "x-amz-date"), len(c.arena)
	c.arena = now.UTC().AppendFormat(c.arena, amzDateFormat)
	date := c.since(from)
	c.headers = append(c.headers, pair{name, date})
	return date
}

// addS3Fields adds the signed fields. They must not hold credentials, because it is not
// documented which of two COS would use.
func (c *canonical) addS3Fields(fields []Field) error {
	hosts := 0
	for _, f := range fields {
		name := addLowered(c, f.Name)
		switch key := c.bytes(name); {
		case isAWSField(key), kindOf(key) == credential:
			return fmt.Errorf("%w: it already has credentials; remove the field %s", ErrRequest, key)
		case isS3Signed(key):
			addS3Header(c, name, f.Value)
		case string(key) == "host":
			hosts++
			addS3Header(c, name, f.Value)
		}
	}
	if hosts != 1 {
		return fmt.Errorf("%w: it has %d Host fields; send exactly one", ErrRequest, hosts)
	}
	return nil
}

// isS3Signed reports whether a field is signed, by its lower-cased name. AWS requires the
// signature of x-amz-* fields. The others are those of the COS signature, and Date, which the
// examples of AWS sign.
func isS3Signed(name []byte) bool {
	switch string(name) {
	case "content-length", "content-language", "date":
		return true
	}
	return bytes.HasPrefix(name, []byte("x-amz-")) || kindOf(name) == signed
}

// addLowered adds a lower-cased header name. AWS does not escape names.
func addLowered[T string | []byte](c *canonical, name T) span {
	from := len(c.arena)
	for i := range len(name) {
		c.arena = append(c.arena, lower(name[i]))
	}
	return c.since(from)
}

// addS3Header adds one header in its signed form: without surrounding blanks, and with one
// space instead of several.
func addS3Header[T string | []byte](c *canonical, name span, value T) {
	from := len(c.arena)
	c.arena = append(c.arena, value...)
	signed := bytes.Trim(c.arena[from:], " \t")
	if bytes.Contains(signed, []byte("  ")) {
		signed = slices.CompactFunc(signed, func(a, b byte) bool { return a == ' ' && b == ' ' })
	}
	c.arena = append(c.arena[:from], signed...)
	c.headers = append(c.headers, pair{name, c.since(from)})
}

// addS3Query adds every parameter of a raw query in its signed form: decoded, and encoded
// again. A parameter without "=" has an empty value.
func (c *canonical) addS3Query(raw string) error {
	for raw != "" {
		var parameter string
		parameter, raw, _ = strings.Cut(raw, "&")
		if parameter == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(parameter, "=")
		decoded, name, err := c.addS3Escaped(rawName)
		if err != nil {
			return err
		}
		if isAWSParam(c.bytes(decoded)) {
			return fmt.Errorf("%w: it already has credentials; remove the parameter %s", ErrRequest, c.bytes(decoded))
		}
		_, value, err := c.addS3Escaped(rawValue)
		if err != nil {
			return err
		}
		c.params = append(c.params, pair{name, value})
	}
	return nil
}

// addS3Escaped adds one name or value of a raw query, decoded and in its signed form.
func (c *canonical) addS3Escaped(raw string) (decoded, escaped span, err error) {
	from := len(c.arena)
	if c.arena, err = appendUnescaped(c.arena, raw); err != nil {
		return span{}, span{}, err
	}
	decoded = c.since(from)
	if plain := plainPrefix(c.bytes(decoded)); plain == len(c.bytes(decoded)) {
		return decoded, decoded, nil
	}
	from = len(c.arena)
	c.arena = appendEscaped(c.arena, c.bytes(decoded))
	return decoded, c.since(from), nil
}

// sortS3 sorts the parameters by encoded name, then by encoded value, and the headers by name.
// Repeated headers keep their order, because their values become one list.
func (c *canonical) sortS3() {
	slices.SortFunc(c.params, c.compare)
	slices.SortFunc(c.headers, func(a, b pair) int {
		if order := bytes.Compare(c.bytes(a.key), c.bytes(b.key)); order != 0 {
			return order
		}
		return cmp.Compare(a.value.from, b.value.from) // the arena has them in order
	})
}

// appendCanonicalRequest appends CanonicalRequest.
func (c *canonical) appendCanonicalRequest(dst []byte, h S3Head) []byte {
	method := h.Method
	if method == "" {
		method = http.MethodGet
	}
	dst = append(dst, method...)
	dst = append(dst, '\n')
	dst = append(dst, h.Path...)
	dst = append(dst, '\n')
	for i, p := range c.params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, c.bytes(p.key)...)
		dst = append(dst, '=')
		dst = append(dst, c.bytes(p.value)...)
	}
	dst = append(dst, '\n')
	for i, p := range c.headers {
		if c.isRepeated(i) {
			dst[len(dst)-1] = ',' // instead of the line feed
		} else {
			dst = append(dst, c.bytes(p.key)...)
			dst = append(dst, ':')
		}
		dst = append(dst, c.bytes(p.value)...)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = c.appendSignedHeaders(dst)
	dst = append(dst, '\n')
	return append(dst, h.PayloadHash...)
}

// isRepeated reports whether the header has the name of the one before.
func (c *canonical) isRepeated(i int) bool {
	return i > 0 && bytes.Equal(c.bytes(c.headers[i].key), c.bytes(c.headers[i-1].key))
}

// appendSignedHeaders appends SignedHeaders: the names joined by ";", each once.
func (c *canonical) appendSignedHeaders(dst []byte) []byte {
	for i, p := range c.headers {
		if c.isRepeated(i) {
			continue
		}
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, c.bytes(p.key)...)
	}
	return dst
}

// appendS3StringToSign appends StringToSign for a CanonicalRequest.
func appendS3StringToSign(dst, canonicalRequest, date []byte, scope string) []byte {
	digest := sha256.Sum256(canonicalRequest)
	dst = append(dst, "AWS4-HMAC-SHA256\n"...)
	dst = append(dst, date...)
	dst = append(dst, '\n')
	dst = append(dst, scope...)
	dst = append(dst, '\n')
	return hex.AppendEncode(dst, digest[:])
}

// appendS3Authorization appends the value of Authorization for the CanonicalRequest in c.text,
// and replaces c.text with StringToSign.
func (c *canonical) appendS3Authorization(dst []byte, key *s3Key, date []byte) []byte {
	dst = append(dst, key.prefix...)
	dst = c.appendSignedHeaders(dst)
	dst = append(dst, ", Signature="...)
	c.text = appendS3StringToSign(c.text[:0], c.text, date, key.scope)
	return key.appendSignature(dst, c.text)
}
