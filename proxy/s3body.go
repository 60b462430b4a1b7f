package proxy

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/awschunked"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
	"cosproxy/proxy/internal/s3req"
	"cosproxy/signer"
)

// emptyPayload is the x-amz-content-sha256 of a request without a body.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// hasChunkedCoding reports whether Content-Encoding has the coding aws-chunked.
func (r *request) hasChunkedCoding() bool {
	for coding := range r.head.Elements("Content-Encoding") {
		if http1.EqualFold(coding, s3req.ChunkedCoding) {
			return true
		}
	}
	return false
}

// isStreaming reports whether a value of x-amz-content-sha256 announces a body in chunks.
func isStreaming(value []byte) bool { return bytes.HasPrefix(value, []byte("STREAMING-")) }

// parseCoding sets the coding of the body. It rejects header fields that do not say clearly
// how to decode it: COS would store the body together with its chunk headers, or without the
// promised check. Some clients name aws-chunked only in one of two fields.
func (r *request) parseCoding() (err error) {
	for _, name := range []string{s3req.ContentSHA256, s3req.DecodedLength} {
		if r.count(name) > 1 {
			return coserr.New(http.StatusBadRequest, "InvalidRequest", "The request has several headers %s. Send it once.", name)
		}
	}
	hash := r.head.Get(s3req.ContentSHA256)
	streaming, chunked := isStreaming(hash), r.hasChunkedCoding()
	switch {
	case r.readsOnly(), !streaming && !r.has(s3req.DecodedLength) && r.hasNoBody():
		return nil // aws-chunked may be metadata that the object got from another server
	case chunked && !streaming && len(hash) > 0 && string(hash) != signer.UnsignedPayload:
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"Content-Encoding says aws-chunked, but x-amz-content-sha256 does not announce chunks. Set x-amz-content-sha256 to one of STREAMING-…, or send the body without this coding.")
	case chunked || streaming:
		r.coding, err = awschunked.Parse(awschunked.Header{
			ContentSHA256: string(hash),
			DecodedLength: string(r.head.Get(s3req.DecodedLength)),
			Trailer:       strings.Join(r.Values(s3req.Trailer), ","),
		})
		return err
	}
	for _, name := range []string{s3req.DecodedLength, s3req.Trailer} {
		if r.has(name) {
			return coserr.New(http.StatusBadRequest, "InvalidRequest",
				"The request has %s, but neither x-amz-content-sha256 nor Content-Encoding announces chunks. Remove the header, or send Content-Encoding: aws-chunked.", name)
		}
	}
	return nil
}

// hasNoBody reports whether the request has no body by its header.
func (r *request) hasNoBody() bool {
	return r.head.AnnouncedLength() <= 0 && !r.has("Transfer-Encoding")
}

// count returns the number of header fields with this name.
func (r *request) count(name string) (n int) {
	for i := range r.head.Fields {
		if http1.EqualFold(r.head.Fields[i].Name, name) {
			n++
		}
	}
	return n
}

// decodeS3 verifies the body of an S3 request if it is buffered. Otherwise it makes the
// upload decode and verify it. It sets the x-amz-content-sha256 for COS.
func (b *body) decodeS3(req *request) error {
	b.payload = signer.UnsignedPayload
	if b.length == 0 {
		b.payload = emptyPayload
	}
	sums, err := req.checksums(b.length)
	switch {
	case err != nil:
		return err
	case req.coding != nil:
		b.upload.decoded = req.coding.Decode(&b.upload.received, sums...)
		return nil
	case len(sums) == 0:
		return nil
	case b.length < 0:
		return coserr.New(http.StatusLengthRequired, "MissingContentLength",
			"The request has a checksum, and its chunked body is longer than %d KiB. Send Content-Length.", bufferLimit>>10)
	}
	if hash := req.head.Get(s3req.ContentSHA256); isHash(hash) {
		b.payload = string(hash)
	}
	if b.buffered != nil {
		_, err := io.Copy(io.Discard, digest.NewReader(bytes.NewReader(b.buffered), b.length, sums...))
		return err
	}
	b.upload.decoded = digest.NewReader(&b.upload.received, b.length, sums...)
	return nil
}

// checksums returns the checksums in the header that a body of this length must have.
func (r *request) checksums(length int64) (sums []*digest.Sum, err error) {
	for _, f := range r.head.Fields {
		if !r.isChecksum(f, length) {
			continue
		}
		sum := digest.New(string(f.Name))
		if sum == nil {
			continue
		}
		if err := sum.Expect(string(f.Value)); err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	return sums, nil
}

// hasChecksum reports whether the header may have a checksum of a body of this length.
func (r *request) hasChecksum(length int64) bool {
	return r.dialect == dialectS3 && slices.ContainsFunc(r.head.Fields, func(f http1.Field) bool { return r.isChecksum(f, length) })
}

// isChecksum reports whether a header field may be a checksum of a body of this length, and
// not one that is known to match. It rules out most fields without an allocation. Complete
// Multipart Upload has the checksum of the object, whose parts were verified.
func (r *request) isChecksum(f http1.Field, length int64) bool {
	if http1.EqualFold(f.Name, s3req.ContentSHA256) {
		return r.signsBody(f.Value) && (length != 0 || string(f.Value) != emptyPayload)
	}
	return http1.HasPrefixFold(f.Name, s3req.ChecksumPrefix) && !r.completesUpload()
}

// signsBody reports whether a value of x-amz-content-sha256 should be the hash of the body.
func (r *request) signsBody(value []byte) bool {
	return len(value) > 0 && string(value) != signer.UnsignedPayload && r.coding == nil
}

func (r *request) completesUpload() bool {
	return r.method == http.MethodPost && r.query.Has("uploadId")
}

// isHash reports whether a valid x-amz-content-sha256 is a hash, in the letter case that
// cosproxy signs.
func isHash(value []byte) bool {
	return len(value) == len(emptyPayload) && len(bytes.Trim(value, "0123456789abcdef")) == 0
}
