package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

var errChecksum = errors.New("the CRC-64 of the bytes differs from the x-cos-hash-crc64ecma of COS")

// reportedCRC returns the checksum that an answer names; ok is false if it names
// none.
func reportedCRC(h http.Header) (crc uint64, ok bool) {
	crc, err := strconv.ParseUint(first(h["X-Cos-Hash-Crc64ecma"]), 10, 64)
	return crc, err == nil
}

// storesBody reports whether COS stores the request's body as it is and answers
// with its checksum. That of an append is the whole object's, a copy has no
// body, and pictures may be processed on arrival.
func (t target) storesBody(h http.Header) bool {
	if t.op.action != actionPrefix+"PutObject" && t.op.action != actionPrefix+"UploadPart" {
		return false
	}
	return h["X-Cos-Copy-Source"] == nil && h["Pic-Operations"] == nil
}

// checkStored compares what was read from the client with what COS has stored. It
// must not be asked before all was read: net/http reads in a goroutine of its own.
func (x *exchange) checkStored(resp *http.Response) error {
	stored, reported := reportedCRC(resp.Header)
	sent, known := x.upload.sum()
	if !reported || !known || sent == stored {
		return nil
	}
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "ChecksumMismatch",
		Message: "COS has stored other bytes than were sent: the body was changed on the way from cosproxy to COS. " +
			"The object at COS is damaged; upload it again, or delete it.",
		Err: errChecksum,
	}
}

// verifiable returns the checksum that the body of an answer has to have; ok is
// false if it is not that of an object as it is stored. A weak entity tag says
// that it is not, but compressed, say (RFC 9110, 8.8.1).
func (x *exchange) verifiable(resp *http.Response) (want uint64, ok bool) {
	want, ok = reportedCRC(resp.Header)
	stored := resp.StatusCode == http.StatusOK && x.target.readsObject() && !strings.HasPrefix(first(resp.Header["Etag"]), "W/")
	return want, ok && stored && resp.ContentLength > 0
}

// verified is the body of a whole object. It keeps back what the last read
// brought until the checksum is known to be right, so that the client of a
// damaged download never gets all of it.
type verified struct {
	io.ReadCloser
	left      int64
	crc, want uint64
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.crc = updateCRC(v.crc, p[:n])
	v.left -= int64(n)
	if v.left == 0 && v.crc != v.want {
		return 0, errChecksum
	}
	return n, err
}
