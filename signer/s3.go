package signer

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// UnsignedPayload is the PayloadHash of a request whose body is not part of the signature.
const UnsignedPayload = "UNSIGNED-PAYLOAD"

// S3Head is the head of a request in the dialect of S3, as it will be on the wire.
type S3Head struct {
	// Method is the method, in upper case. Empty: GET.
	Method string
	// Path is the path as it is sent, in the form of AppendS3Path. Required. It is signed as it
	// is: "//", "." and ".." are bytes of object keys.
	Path string
	// RawQuery is the query as it is sent, without the question mark. Empty: no query. A "+" is
	// signed as a blank, like in Head.
	RawQuery string
	// Fields are all header fields that are sent, in any order. They include exactly one Host,
	// and Content-Length if it is sent, but no field of another AWS signature.
	Fields []Field
	// Region is the region of the bucket, for example ap-guangzhou. Required.
	Region string
	// PayloadHash is the value of x-amz-content-sha256: 64 lower-case hex digits, or
	// UnsignedPayload. Required.
	PayloadHash string
}

// S3Signer signs requests in the dialect of S3 with AWS Signature Version 4, for any number of
// credentials and regions. The zero value is ready to use. It caches the signing keys of the
// current minute (at most 128), so that a request costs one SHA-256 and one HMAC. It is safe for
// concurrent use and must not be copied after first use.
type S3Signer struct {
	keys    keyCache[s3KeyID, s3Key]
	scratch sync.Pool // of *canonical
}

// Names of the fields that AppendFields adds.
var (
	amzDateName       = []byte("X-Amz-Date")
	amzPayloadName    = []byte("X-Amz-Content-Sha256")
	amzTokenName      = []byte("X-Amz-Security-Token")
	authorizationName = []byte(authorizationHeader)
)

// AppendFields appends to dst the fields that sign h: X-Amz-Date, X-Amz-Content-Sha256,
// X-Amz-Security-Token if creds has a Token, and Authorization. Send the request with exactly
// h.Fields and these. dst may be h.Fields. Their values are in memory, which AppendFields
// extends and returns; it does not allocate if dst and memory have enough capacity. The names
// are shared; do not write to them.
//
// now is the caller's clock, corrected for its offset to COS. S3 servers reject a signature made
// more than 15 minutes ago (RequestTimeTooSkewed). On error (ErrMissingSecretID, ErrMissingSecretKey, ErrExpired,
// ErrRequest) AppendFields returns dst and memory unchanged.
func (s *S3Signer) AppendFields(dst []Field, memory []byte, h S3Head, creds Credentials, now time.Time) ([]Field, []byte, error) {
	if err := check(creds, now); err != nil {
		return dst, memory, err
	}
	c, ok := s.scratch.Get().(*canonical)
	if !ok {
		c = new(canonical)
	}
	defer s.scratch.Put(c)
	c.reset()
	date := c.addS3Date(now)
	if err := c.addS3Head(h, creds.Token); err != nil {
		return dst, memory, err
	}
	c.sortS3()
	key := s.keys.get(s3KeyIDAt(creds, h.Region, now), newS3Key)
	c.text = c.appendCanonicalRequest(c.text[:0], h)
	c.authorization = c.appendS3Authorization(c.authorization[:0], key, c.bytes(date))

	size := len(amzDateFormat) + len(h.PayloadHash) + len(creds.Token) + len(c.authorization)
	f := s3Fields{slices.Grow(dst, 4), slices.Grow(memory, size)}
	addS3Field(&f, amzDateName, c.bytes(date))
	addS3Field(&f, amzPayloadName, h.PayloadHash)
	if creds.Token != "" {
		addS3Field(&f, amzTokenName, creds.Token)
	}
	addS3Field(&f, authorizationName, c.authorization)
	return f.dst, f.memory, nil
}

// s3Fields collects fields whose values are in memory.
type s3Fields struct {
	dst    []Field
	memory []byte
}

func addS3Field[T string | []byte](f *s3Fields, name []byte, value T) {
	from := len(f.memory)
	f.memory = append(f.memory, value...)
	f.dst = append(f.dst, Field{name, f.memory[from:len(f.memory):len(f.memory)]})
}

// addS3Head adds the signed parts of h and the fields that AppendFields adds, except for the
// date.
func (c *canonical) addS3Head(h S3Head, token string) error {
	switch {
	case h.Region == "":
		return fmt.Errorf("%w: S3Head.Region is empty; set it to the region of the bucket", ErrRequest)
	case !isPayloadHash(h.PayloadHash):
		return fmt.Errorf("%w: S3Head.PayloadHash is neither 64 lower-case hex digits nor %s", ErrRequest, UnsignedPayload)
	case !isCanonicalPath(h.Path):
		return fmt.Errorf("%w: its path is not in the form that S3 servers sign; send and sign the result of AppendS3Path", ErrRequest)
	}
	if err := c.addS3Query(h.RawQuery); err != nil {
		return err
	}
	if err := c.addS3Fields(h.Fields); err != nil {
		return err
	}
	addS3Header(c, addLowered(c, "x-amz-content-sha256"), h.PayloadHash)
	if token != "" {
		addS3Header(c, addLowered(c, "x-amz-security-token"), token)
	}
	return nil
}

func isPayloadHash(s string) bool {
	if len(s) != 64 {
		return s == UnsignedPayload
	}
	for i := range len(s) {
		if b := s[i]; !isHex(b) || b != lower(b) {
			return false
		}
	}
	return true
}
