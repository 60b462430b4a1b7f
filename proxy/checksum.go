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

var errChecksum = errors.New("the CRC-64 of the bytes differs from the x-cos-hash-crc64ecma of COS")

// reportedCRC is the checksum that COS names. There should be one at most; several that
// differ deny any body. A value that cannot be read says nothing.
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

// denies reports whether the body with this checksum is not the one that COS has.
func (c reportedCRC) contradicts(sum uint64) bool { return c.conflict || c.known && c.sum != sum }

// storesBody reports whether COS stores the request's body as it is and responds
// with its checksum. That of an append is the whole object's, a copy has no
// body, and pictures may be processed on arrival.
func storesBody(c *candidate, req *request) bool {
	if c.op.Action != cosreq.PutObject && c.op.Action != uploadPart {
		return false
	}
	return c.source == nil && !req.has(picOperationsField)
}

// checkStored compares what was read from the client with what COS has stored. It
// must not be asked before all was read.
func (r *response) checkStored(b *body) error {
	sent, known := b.crc64()
	if !known || !r.reportedCRC().contradicts(sent) {
		return nil
	}
	return &coserr.Error{
		Status: http.StatusBadGateway,
		Code:   "ChecksumMismatch",
		Message: "The checksum COS stored does not match the upload: the body was changed between cosproxy and COS. " +
			"The object at COS is damaged; upload it again, or delete it.",
		Err: errChecksum,
	}
}

// verify has the body compared with the checksum at its end, whatever its framing.
// An empty body is judged at once, since with its head the client has all of it. A weak
// entity tag says that the body is not the object as it is stored, but compressed, say
// (RFC 9110, 8.8.1). layer is memory for it.
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
		Message: "COS sent an empty object and the checksum of another: the body was lost between COS and cosproxy. " +
			"Send the request again; if this repeats, compare the object's Content-Length with HEAD.",
		Err: errChecksum,
	}
}

// verified is the body of a whole object. It keeps back its last byte, or all that
// the last read brought, until the checksum is known to be right, so that the client
// of a damaged download never gets all of it.
type verified struct {
	body     io.Reader
	left     int64 // negative: the body ends where its framing says
	reported reportedCRC
	crc      uint64
	held     []byte // the last byte read, if it may be the last of the body
}

// Read implements io.Reader. It wants room for two bytes.
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
