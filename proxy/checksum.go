package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
	"cosproxy/proxy/internal/crc64"
)

var errChecksum = errors.New("the CRC-64 of the body differs from the x-cos-hash-crc64ecma of COS")

// reportedCRC is the checksum in a response of COS. Values that cannot be parsed are
// ignored. If there are several different values, no body matches.
type reportedCRC struct {
	sum             uint64
	known, conflict bool
}

func (r *response) reportedCRC() reportedCRC {
	var c reportedCRC
	for _, f := range r.Fields {
		if !http1.EqualFold(f.Name, crcField) {
			continue
		}
		sum, err := strconv.ParseUint(string(f.Value), 10, 64)
		if err != nil {
			continue
		}
		c.conflict = c.conflict || c.known && sum != c.sum
		c.sum, c.known = sum, true
	}
	return c
}

// contradicts reports whether COS reported another checksum than sum.
func (c reportedCRC) contradicts(sum uint64) bool { return c.conflict || c.known && c.sum != sum }

// storesBody reports whether COS stores the request body unchanged and responds with its
// checksum. The checksum of an append is that of the complete object, a copy has no body,
// and COS may process pictures before it stores them.
func storesBody(c *candidate, req *request) bool {
	if c.op.Action != cosreq.PutObject && c.op.Action != uploadPart {
		return false
	}
	return c.source == nil && !req.has(picOperationsField)
}

// checkStored compares the checksum of the upload with the one that COS reported. It must
// not be called before the complete body was read.
func (r *response) checkStored(b *body) error {
	sent, known := b.crc64()
	if !known || !r.reportedCRC().contradicts(sent) {
		return nil
	}
	return &coserr.Error{
		Status: http.StatusBadGateway,
		Code:   "ChecksumMismatch",
		Message: "The checksum COS stored does not match the upload: the body changed between cosproxy and COS. " +
			"The object in COS is damaged; upload it again, or delete it.",
		Err: errChecksum,
	}
}

// verify makes the body check its checksum at its end, with any framing. It checks an
// empty body at once, because the header completes that response. It skips responses with
// a weak entity tag: their body may differ from the stored object, for example by
// compression (RFC 9110, 8.8.1). layer is memory for the new body.
func (r *response) verify(c *candidate, layer *verified) error {
	switch {
	case r.Status != http.StatusOK || !readsObject(c) || r.Get(crcField) == nil || strings.HasPrefix(string(r.Get("ETag")), "W/"):
		return nil
	case r.length != 0:
		*layer = verified{body: r.body, left: r.length, reported: r.reportedCRC()}
		r.body = layer
		return nil
	case !r.reportedCRC().contradicts(0): // the CRC-64 of no bytes
		return nil
	}
	return &coserr.Error{
		Status: http.StatusBadGateway,
		Code:   "ChecksumMismatch",
		Message: "COS sent an empty body with the checksum of a non-empty object: the body was lost between COS and cosproxy. " +
			"Send the request again; if this repeats, compare the Content-Length that HEAD returns.",
		Err: errChecksum,
	}
}

// verified is the body of a complete object. It holds back the last byte or the last piece
// until the checksum is verified, so that the client never receives a damaged download
// completely.
type verified struct {
	body     io.Reader
	left     int64 // bytes left; negative: unknown
	reported reportedCRC
	crc      uint64
	held     []byte // the last byte read, if it may be the last of the body
}

// Read implements io.Reader. p must have room for at least two bytes.
func (v *verified) Read(p []byte) (int, error) {
	held := copy(p, v.held)
	n, err := v.body.Read(p[held:])
	v.crc = crc64.Update(v.crc, p[held:held+n])
	v.held, n = v.held[:0], held+n
	sized := v.left >= 0
	if sized {
		v.left -= int64(n)
	}
	switch ended := sized && v.left == 0 || errors.Is(err, io.EOF); {
	case ended && v.reported.contradicts(v.crc):
		return 0, errChecksum
	case !ended && !sized && n > 0:
		n--
		v.held = append(v.held, p[n])
	}
	return n, err
}
