// Package digest verifies the checksums that S3 clients send with a body (Amazon S3 User
// Guide, "Checking object integrity"; Amazon S3 API Reference, "Authenticating Requests").
//
// A [Sum] is one checksum. A [Reader] computes the sums of a body with a known length while
// it is read, and holds back the last bytes until all sums match, so that COS never receives
// a complete body that is damaged.
package digest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"net/http"
	"strings"

	"cosproxy/proxy/internal/coserr"
)

// contentSHA256 is the header with the SHA-256 of a body in hex. SigV4 signs it.
const contentSHA256 = "x-amz-content-sha256"

// Sum is one checksum of a body: the value that the client expects, and the value of the
// bytes written so far.
type Sum struct {
	name string // of the header or trailer, in lower case
	hash hash.Hash
	want []byte // nil: not known yet
}

// New returns the sum that a header or trailer contains: x-amz-checksum-crc32, -crc32c,
// -crc64nvme, -sha1, -sha256, or x-amz-content-sha256. Upper and lower case are the same.
// It returns nil for all other names, also for x-amz-checksum-algorithm, -mode and -type,
// which contain no checksum.
func New(name string) *Sum {
	name = strings.ToLower(name)
	h := newHash(name)
	if h == nil {
		return nil
	}
	return &Sum{name: name, hash: h}
}

func newHash(name string) hash.Hash {
	switch name {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return new(crc64NVME)
	case "x-amz-checksum-sha1":
		return sha1.New()
	case "x-amz-checksum-sha256", contentSHA256:
		return sha256.New()
	}
	return nil
}

// Name returns the name of the header or trailer, in lower case.
func (s *Sum) Name() string { return s.name }

// Expect sets the expected checksum: hex for x-amz-content-sha256, base64 for all others,
// with the bytes of a CRC in big-endian order. It returns a *coserr.Error with status 400
// if the value is malformed or has the wrong length. It does not accept the values of
// x-amz-content-sha256 that are not a hash, such as UNSIGNED-PAYLOAD.
func (s *Sum) Expect(value string) error {
	want, err := s.decode(value)
	if err != nil || len(want) != s.hash.Size() {
		return s.invalid()
	}
	s.want = want
	return nil
}

func (s *Sum) decode(value string) ([]byte, error) {
	if s.name == contentSHA256 {
		return hex.DecodeString(value)
	}
	if len(value) != base64.StdEncoding.EncodedLen(s.hash.Size()) { // DecodeString skips line ends
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(value)
}

func (s *Sum) invalid() error {
	if s.name == contentSHA256 {
		return coserr.New(http.StatusBadRequest, "InvalidArgument",
			"%s is not a SHA-256 in hex. Send the hash of the body, or UNSIGNED-PAYLOAD.", contentSHA256)
	}
	return coserr.New(http.StatusBadRequest, "InvalidRequest",
		"The value of %s is not the base64 of %d bytes. Correct the checksum, or send none.", s.name, s.hash.Size())
}

// Write adds p to the computed checksum. It never fails.
func (s *Sum) Write(p []byte) (int, error) { return s.hash.Write(p) }

// Check compares the computed checksum with the expected one. It returns a *coserr.Error
// with status 400: XAmzContentSHA256Mismatch for x-amz-content-sha256, BadDigest for all
// others. Without a call of Expect, no body matches.
func (s *Sum) Check() error {
	if bytes.Equal(s.hash.Sum(nil), s.want) {
		return nil
	}
	const message = "The body does not match its %s; nothing was stored. Send the request again; if this repeats, the client computes the checksum of other bytes."
	if s.name == contentSHA256 {
		return coserr.New(http.StatusBadRequest, "XAmzContentSHA256Mismatch", message, s.name)
	}
	return coserr.New(http.StatusBadRequest, "BadDigest", message, s.name)
}
