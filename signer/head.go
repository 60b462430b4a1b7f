package signer

import (
	"bytes"
	"fmt"
	"time"
)

// Field is one header field. The value has no surrounding blanks.
type Field struct{ Name, Value []byte }

// Head is the head of a request as it will be on the wire, for callers that do not use
// net/http.
type Head struct {
	// Method is the method, in upper case. Empty: GET.
	Method string
	// Path is the path, percent-decoded once. It begins with a slash. Required.
	Path string
	// RawQuery is the query as it is sent, without the question mark. Empty: no query.
	RawQuery string
	// Fields are all header fields that are sent, in any order. They include exactly one Host,
	// and Content-Length if it is sent, but not Authorization and x-cos-security-token.
	Fields []Field
}

// AppendAuthorization appends the value of Authorization for h to dst. Send the request with
// it, and with creds.Token as x-cos-security-token if the token is not empty. The signed parts,
// now and the errors are those of Sign. On error it returns dst unchanged. It does not allocate
// if dst has enough capacity.
func (s *Signer) AppendAuthorization(dst []byte, h Head, creds Credentials, now time.Time) ([]byte, error) {
	if err := check(creds, now); err != nil {
		return dst, err
	}
	c, ok := s.scratch.Get().(*canonical)
	if !ok {
		c = new(canonical)
	}
	defer s.scratch.Put(c)
	c.reset()
	if err := c.addHead(h, creds.Token); err != nil {
		return dst, err
	}
	c.sort()
	key := s.keys.get(signKeyID{creds.SecretID, creds.SecretKey, windowAt(now, creds.Expires)}, newSignKey)
	c.text = c.appendHTTPString(c.text[:0], h.Method, h.Path)
	return c.appendAuthorization(dst, key), nil
}

// addHead adds the signed parts of h. h must not hold credentials, because it is not
// documented which of two COS would use.
func (c *canonical) addHead(h Head, token string) error {
	if len(h.Path) == 0 || h.Path[0] != '/' {
		return fmt.Errorf("%w: its path does not begin with a slash; write a slash before the object key", ErrRequest)
	}
	if err := c.addQuery(h.RawQuery); err != nil {
		return err
	}
	hosts := 0
	for _, f := range h.Fields {
		key := c.addKeyBytes(f.Name)
		switch k := kindOf(c.bytes(key)); {
		case k == credential:
			return fmt.Errorf("%w: it already has credentials; remove Authorization and x-cos-security-token", ErrRequest)
		case k == signed, bytes.Equal(c.bytes(key), []byte("content-length")):
			c.addValueBytes(key, f.Value)
		case bytes.Equal(c.bytes(key), []byte("host")):
			hosts++
			c.addValueBytes(key, f.Value)
		}
	}
	if hosts != 1 {
		return fmt.Errorf("%w: it has %d Host fields; send exactly one", ErrRequest, hosts)
	}
	if token != "" {
		c.addValue(c.addKey("x-cos-security-token"), token)
	}
	return nil
}

func (c *canonical) addKeyBytes(name []byte) span {
	from := len(c.arena)
	c.arena = appendKey(c.arena, name)
	return c.since(from)
}

func (c *canonical) addValueBytes(key span, value []byte) {
	from := len(c.arena)
	c.arena = append(c.arena, value...)
	c.headers = append(c.headers, pair{key, c.since(from)})
}
