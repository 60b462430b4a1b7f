package proxy

import (
	"bytes"
	"net/http"
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

// isAWSChunked reports whether the body of an S3 request has the aws-chunked coding. Some
// clients name it only in one of the two fields.
func (r *request) isAWSChunked() bool {
	if r.dialect != dialectS3 || r.readsOnly() {
		return false
	}
	return isStreaming(r.head.Get(s3req.ContentSHA256)) || r.hasChunkedCoding()
}

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

// checkBodyFields rejects header fields that do not say clearly how to decode the body: COS
// would store it together with its chunk headers, or without the promised check.
func (r *request) checkBodyFields() error {
	for _, name := range []string{s3req.ContentSHA256, s3req.DecodedLength} {
		if r.count(name) > 1 {
			return coserr.New(http.StatusBadRequest, "InvalidRequest", "The request has several headers %s. Send it once.", name)
		}
	}
	if r.isAWSChunked() {
		if hash := r.head.Get(s3req.ContentSHA256); len(hash) > 0 && !isStreaming(hash) && string(hash) != signer.UnsignedPayload {
			return coserr.New(http.StatusBadRequest, "InvalidRequest",
				"The request has Content-Encoding aws-chunked, but x-amz-content-sha256 does not announce chunks. Remove aws-chunked, or send one of STREAMING-….")
		}
		return nil
	}
	for _, name := range []string{s3req.DecodedLength, s3req.Trailer} {
		if r.has(name) && !r.readsOnly() {
			return coserr.New(http.StatusBadRequest, "InvalidRequest",
				"The request has %s, but neither x-amz-content-sha256 nor Content-Encoding announces chunks. Remove the header, or send Content-Encoding: aws-chunked.", name)
		}
	}
	return nil
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

// decode makes the upload decode and verify the body of an S3 request. It returns the
// x-amz-content-sha256 for COS.
func (u *upload) decode(req *request, length int64) (payload string, err error) {
	sums, err := req.checksums(length)
	if err != nil {
		return "", err
	}
	if length == 0 && len(sums) == 0 && !req.isAWSChunked() {
		return emptyPayload, nil
	}
	hash := string(req.head.Get(s3req.ContentSHA256))
	switch {
	case req.isAWSChunked():
		u.decoded, err = awschunked.NewReader(&u.received, req.chunkedHeader(), sums...)
	case len(sums) > 0 && length < 0:
		return "", coserr.New(http.StatusLengthRequired, "MissingContentLength",
			"The request has the checksum of a body of unknown length. Send Content-Length.")
	case len(sums) > 0:
		u.decoded = digest.NewReader(&u.received, length, sums...)
		if isHash(hash) {
			return hash, nil
		}
	}
	if length == 0 {
		return emptyPayload, err
	}
	return signer.UnsignedPayload, err
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
	return len(value) > 0 && string(value) != signer.UnsignedPayload && !r.isAWSChunked()
}

func (r *request) completesUpload() bool {
	return r.method == http.MethodPost && r.query.Has("uploadId")
}

// isHash reports whether a valid x-amz-content-sha256 is a hash, in the letter case that
// cosproxy signs.
func isHash(value string) bool {
	return len(value) == len(emptyPayload) && strings.Trim(value, "0123456789abcdef") == ""
}

// chunkedHeader returns the header fields that describe an aws-chunked body.
func (r *request) chunkedHeader() awschunked.Header {
	return awschunked.Header{
		ContentSHA256: string(r.head.Get(s3req.ContentSHA256)),
		DecodedLength: string(r.head.Get(s3req.DecodedLength)),
		Trailer:       strings.Join(r.Values(s3req.Trailer), ","),
	}
}

// decodedLength returns the length of an aws-chunked body after decoding.
func decodedLength(req *request) (int64, error) {
	reader, err := awschunked.NewReader(nil, req.chunkedHeader())
	if err != nil {
		return 0, err
	}
	return reader.Length(), nil
}
