package signer

import (
	"bytes"
	"fmt"
	"time"
)

// Field is one header field, its value without blanks around it.
type Field struct{ Name, Value []byte }

// Head is a request as it will be on the wire, for those that do not send it with
// net/http.
type Head struct {
	// Method is the method, in upper case.
	Method string
	// Path is the path, percent-decoded once; it begins with a slash.
	Path string
	// RawQuery is the query as it is sent, without the question mark.
	RawQuery string
	// Fields are all header fields that are sent, Host and Content-Length among
	// them, in any order; Authorization and x-cos-security-token are not.
	Fields []Field
}

// AppendAuthorization appends the value of Authorization for h to dst. The request
// must be sent with it, and with creds.Token as x-cos-security-token if that is not
// empty. What is signed, now and the errors are as in Sign; dst comes back as it was
// if there is an error. It allocates nothing if dst has room.
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
	key := s.keys.get(signKeyID{creds.SecretID, creds.SecretKey, windowAt(now, creds.Expires)})
	c.text = c.appendHTTPString(c.text[:0], h.Method, h.Path)
	return c.appendAuthorization(dst, key), nil
}

// addHead takes what is signed of h. Credentials must not be in it: which of two
// COS would believe is not known.
func (c *canonical) addHead(h Head, token string) error {
	if len(h.Path) == 0 || h.Path[0] != '/' {
		return fmt.Errorf("%w: its path does not begin with a slash", ErrRequest)
	}
	if err := c.addQuery(h.RawQuery); err != nil {
		return err
	}
	hosts := 0
	for _, f := range h.Fields {
		key := c.addKeyBytes(f.Name)
		switch k := kindOf(c.bytes(key)); {
		case k == credential:
			return fmt.Errorf("%w: it has credentials already", ErrRequest)
		case k == signed, bytes.Equal(c.bytes(key), []byte("content-length")):
			c.addValueBytes(key, f.Value)
		case bytes.Equal(c.bytes(key), []byte("host")):
			hosts++
			c.addValueBytes(key, f.Value)
		}
	}
	if hosts != 1 {
		return fmt.Errorf("%w: it needs exactly one Host", ErrRequest)
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
