package proxy

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var errChecksum = errors.New("the CRC-64 of the bytes differs from the x-cos-hash-crc64ecma of COS")

// reportedCRCs returns the checksums that COS's response names. There should be one
// at most.
func reportedCRCs(h http.Header) []string { return h["X-Cos-Hash-Crc64ecma"] }

// deny reports whether one of the reported checksums is another than sum. A value
// that is no checksum says nothing.
func deny(reported []string, sum uint64) bool {
	return slices.ContainsFunc(reported, func(text string) bool {
		crc, err := strconv.ParseUint(text, 10, 64)
		return err == nil && crc != sum
	})
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

// check compares the checksum of a success with the bytes of the upload, and has
// those of a download compared as they pass.
func (x *exchange) check(resp *http.Response) error {
	if err := x.checkStored(resp); err != nil {
		return err
	}
	return x.verify(resp)
}

// checkStored compares what was read from the client with what COS has stored. It
// must not be asked before all was read: net/http reads in a goroutine of its own.
func (x *exchange) checkStored(resp *http.Response) error {
	sent, known := x.upload.sum()
	if !known || !deny(reportedCRCs(resp.Header), sent) {
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

// verifiable reports whether the response names the checksum of its own body: that
// of an object as it is stored. A weak entity tag says that the body is not, but
// compressed, say (RFC 9110, 8.8.1).
func (x *exchange) verifiable(resp *http.Response) bool {
	return resp.StatusCode == http.StatusOK && x.target.readsObject() &&
		len(reportedCRCs(resp.Header)) > 0 && !strings.HasPrefix(first(resp.Header["Etag"]), "W/")
}

// verify has the body compared with the checksum at its end, whatever its framing.
// An empty body is judged at once, since with its header the client has all of it.
func (x *exchange) verify(resp *http.Response) error {
	reported := reportedCRCs(resp.Header)
	switch {
	case !x.verifiable(resp):
		return nil
	case resp.ContentLength != 0:
		resp.Body = &verified{ReadCloser: resp.Body, left: resp.ContentLength, reported: reported}
		return nil
	case !deny(reported, 0): // the CRC-64 of no bytes
		return nil
	}
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "ChecksumMismatch",
		Message: "COS answered with an empty object and the checksum of another: the body was lost on the way from COS to cosproxy. " +
			"Send the request again; if this repeats, compare the object's Content-Length with HEAD.",
		Err: errChecksum,
	}
}

// verified is the body of a whole object. It keeps back its last byte, or all that
// the last read brought, until the checksum is known to be right, so that the client
// of a damaged download never gets all of it.
type verified struct {
	io.ReadCloser
	left     int64 // negative: the body ends where its framing says
	reported []string
	crc      uint64
	kept     []byte // the last byte read, if it may be the last of the body
}

// Read implements io.Reader. It wants room for two bytes.
func (v *verified) Read(p []byte) (int, error) {
	kept := copy(p, v.kept)
	n, err := v.ReadCloser.Read(p[kept:])
	v.crc = updateCRC(v.crc, p[kept:kept+n])
	v.kept, n = v.kept[:0], kept+n
	sized := v.left >= 0
	if sized {
		v.left -= int64(n)
	}
	switch ended := sized && v.left == 0 || err == io.EOF; {
	case ended && deny(v.reported, v.crc):
		return 0, errChecksum
	case !ended && !sized && n > 0:
		n--
		v.kept = append(v.kept, p[n])
	}
	return n, err
}
