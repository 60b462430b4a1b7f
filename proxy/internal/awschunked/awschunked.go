// Package awschunked decodes request bodies with the content coding aws-chunked, in which
// S3 clients send chunk signatures and trailing checksums (Amazon S3 API Reference,
// "Signature Calculations: Transferring Payload in Multiple Chunks" and "... Including
// Trailing Headers"):
//
//	<size in hex>[;chunk-signature=<signature>]CRLF <data>CRLF ...
//	0[;chunk-signature=<signature>]CRLF
//	[<name>:<value>CRLF ...] [x-amz-trailer-signature:<signature>CRLF]
//	CRLF
//
// Signatures are made with the keys of the client, which the proxy does not know. So only
// their form is checked; the checksums are verified.
package awschunked

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
)

// Header has the header fields of a request that describe its coded body. A missing field
// is empty.
type Header struct {
	// ContentSHA256 is x-amz-content-sha256. Values that begin with STREAMING- say whether
	// the chunks have signatures and whether trailers follow. Any other value, such as
	// UNSIGNED-PAYLOAD, means chunks without signatures, and trailers if Trailer is set. A
	// hash is not verified.
	ContentSHA256 string
	// DecodedLength is x-amz-decoded-content-length, in bytes.
	DecodedLength string
	// Trailer is x-amz-trailer: names of checksums, separated by commas. Several fields
	// are joined with commas.
	Trailer string
}

// Coding says how a body is coded.
type Coding struct {
	form     form
	length   int64
	trailers []string // names of checksums, in lower case
}

// Parse returns the coding that a header describes. Its errors are a *coserr.Error: 411
// MissingContentLength, 400 InvalidArgument for ContentSHA256, 400 InvalidRequest for Trailer.
func Parse(h Header) (*Coding, error) {
	length, err := strconv.ParseUint(h.DecodedLength, 10, 63)
	if err != nil {
		return nil, coserr.New(http.StatusLengthRequired, "MissingContentLength",
			"The body has the coding aws-chunked without a valid x-amz-decoded-content-length. Send the length of the decoded body, in bytes.")
	}
	form, known := forms[h.ContentSHA256]
	if !known && strings.HasPrefix(h.ContentSHA256, "STREAMING-") {
		return nil, coserr.New(http.StatusBadRequest, "InvalidArgument",
			"The value of x-amz-content-sha256 is not supported. Send STREAMING-UNSIGNED-PAYLOAD-TRAILER, or STREAMING-AWS4-HMAC-SHA256-PAYLOAD with or without -TRAILER.")
	}
	trailers, err := parseTrailer(h.Trailer)
	if err != nil {
		return nil, err
	}
	if form.signature != unsigned && !form.trailer && len(trailers) > 0 {
		return nil, coserr.New(http.StatusBadRequest, "InvalidRequest",
			"x-amz-trailer announces a trailer, but x-amz-content-sha256 does not end in -TRAILER. Correct one of them.")
	}
	return &Coding{form, int64(length), trailers}, nil
}

// Length returns the length of the decoded body in bytes.
func (c *Coding) Length() int64 { return c.length }

// Decode returns the decoded body of a raw one, from which the HTTP framing is removed. It
// verifies sums, such as those of other header fields, in addition to the checksums in
// trailers. Reading returns the last bytes only after the raw body was read to its end and all
// checksums match: see [digest.Reader], also for bodies of length 0.
//
// Errors of Read are a *coserr.Error with status 400 (IncompleteBody for chunks, a wrong length
// or an early end, MalformedTrailerError for everything after the last chunk, BadDigest,
// or InvalidRequest for a checksum that cannot be parsed), and those of the raw body,
// unchanged. Messages contain nothing of the body.
func (c *Coding) Decode(raw io.Reader, sums ...*digest.Sum) *digest.Reader {
	d := &decoder{raw: raw, form: c.form}
	for _, name := range c.trailers {
		d.trailers = append(d.trailers, digest.New(name))
	}
	return digest.NewReader(d, c.length, slices.Concat(d.trailers, sums)...)
}

// form is a form of the coding. The zero form has no signatures.
type form struct {
	signature signature // of each chunk
	trailer   bool      // a signed body has trailers and their signature
}

// forms are the forms by their x-amz-content-sha256.
var forms = map[string]form{
	"STREAMING-UNSIGNED-PAYLOAD-TRAILER":               {},
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD":               {signature: hmacSHA256},
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":       {signature: hmacSHA256, trailer: true},
	"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD":         {signature: ecdsaP256},
	"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER": {signature: ecdsaP256, trailer: true},
}

// signature is a kind of signature.
type signature int

const (
	unsigned   signature = iota
	hmacSHA256           // 32 bytes in hex
	ecdsaP256            // DER in hex, at most 72 bytes; clients append asterisks to this length
)

// valid reports whether text has the form of a signature of this kind.
func (s signature) valid(text []byte) bool {
	if s == ecdsaP256 {
		if len(text) > 2*72 {
			return false
		}
		text = bytes.TrimRight(text, "*")
	} else if len(text) != 2*32 {
		return false
	}
	for _, c := range text {
		if hexDigit(c) < 0 {
			return false
		}
	}
	return len(text) > 0
}

// hexDigit returns the value of a hex digit, or -1.
func hexDigit(c byte) int64 {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0')
	case 'a' <= c && c <= 'f':
		return int64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int64(c-'A') + 10
	}
	return -1
}
