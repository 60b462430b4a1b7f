package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// bufferLimit is the maximum length of a body that is buffered so that it can be sent
// again: on another connection if COS has just closed an idle one, and with new
// credentials if COS rejects the first, in bytes.
const bufferLimit = 64 << 10

// body is the body of a request to COS. The zero value is an empty body.
type body struct {
	length     int64    // http1.LengthChunked if unknown
	buffered   []byte   // the complete body; nil if it is streamed or empty
	upload     *upload  // reads the body from the client
	form       *form    // nil if the body is not a form
	deleteKeys []string // of a delete list whose keys must be checked
	md5        string   // Content-MD5 to add; empty if the client sent it
	payload    string   // x-amz-content-sha256, with dialectS3
}

// isStreamed reports whether the body is read from the client while it is sent to COS.
func (b *body) isStreamed() bool { return b.length != 0 && b.buffered == nil }

// crc64 returns the CRC-64 of the bytes that COS should store; ok is false if it is
// unknown. It must not be called before the complete body was read.
func (b *body) crc64() (crc uint64, ok bool) {
	if b.form != nil {
		return b.form.crc64()
	}
	return b.upload.crc, b.upload.hasCRC
}

// bodyPlan says which part of a body is read before the request is sent.
type bodyPlan struct {
	length  int64  // announced; negative: chunked
	limit   int64  // buffer a body of known length up to this length
	measure bool   // buffer a chunked body up to bufferLimit, to find its length
	list    bool   // buffer the complete body, a delete list
	keys    bool   // check the object keys in the delete list
	md5     bool   // add Content-MD5 if the body is buffered
	form    bool   // read the fields of a form
	route   *route // of the first candidate, for messages
}

// planBody makes the plan from the request header. first is the candidate that is most
// likely to be used; if it allows all object keys, those in a delete list are not read.
func planBody(req *request, first *candidate, length int64) bodyPlan {
	p := bodyPlan{length: length, limit: bufferLimit, route: first.route}
	p.form = first.op.Action == cosreq.PostObject
	// COS requires Content-MD5 for XML (COS document "Common request headers"), and newer S3
	// clients do not send it.
	isList := first.op.Key == "" && first.op.Needs(isDelete)
	p.md5 = len(req.head.Get("Content-MD5")) == 0 && length != 0 && (isList || req.dialect == dialectS3 && !p.form && !storesBody(first, req))
	if isList {
		p.keys = !first.route.allowsAllKeys() || req.dialect == dialectS3 // S3 has conditions in the list
		p.list = p.keys || p.md5
	}
	if p.list {
		p.limit = deleteListLimit
	}
	p.measure = length < 0 && (!takesChunks(req, first) || !req.has("Expect") || req.hasChecksum(length))
	return p
}

// namesKeys reports whether the body has object keys that must be checked.
func (p bodyPlan) namesKeys() bool { return p.keys || p.form }

// memory returns the number of bytes to reserve for reading the body before the request
// has a slot.
func (p bodyPlan) memory() int64 {
	switch {
	case p.length == 0, p.length < 0 && !p.measure, p.length > p.limit && !p.form:
		return 0
	case p.length < 0 || p.length > p.limit: // the fields of a streamed form
		return bufferLimit
	}
	return max(p.length, bytes.MinRead)
}

// read reads the part of the body that the plan requires. It may use buf as memory.
func (p bodyPlan) read(u *upload, req *request, buf []byte) (body, error) {
	b := body{length: p.length, upload: u}
	if p.length < 0 && p.measure {
		if err := b.measureChunks(buf); err != nil {
			return b, err
		}
	}
	if req.dialect == dialectS3 {
		if err := b.decodeS3(req); err != nil {
			return b, err
		}
	}
	switch {
	case b.length == 0:
		if err := u.verifyEmpty(); err != nil {
			return b, err
		}
	case p.length > 0 && p.length <= p.limit:
		var err error
		if b.buffered, err = u.readAll(buf, p.length); err != nil {
			return b, err
		}
	}
	if p.md5 && len(b.buffered) > 0 {
		b.md5 = contentMD5(b.buffered)
	}
	switch {
	case p.list:
		return b, b.readDeletes(p)
	case p.form:
		return b, b.readForm(req)
	}
	return b, nil
}

// readDeletes parses the keys of a buffered delete list if they must be checked.
func (b *body) readDeletes(p bodyPlan) error {
	if b.length < 0 {
		return lengthRequiredError()
	}
	if p.keys {
		var err error
		var known *coserr.Error
		if b.deleteKeys, err = parseDeleteList(b.buffered); errors.As(err, &known) {
			return err
		} else if err != nil {
			return coserr.New(http.StatusBadRequest, "MalformedXML",
				"The body is not a valid delete list of at most %d MiB, with keys that XML can have. Check its XML, send fewer keys, or delete keys with control characters one by one.", deleteListLimit>>20).
				Try("cosproxy checks keys against", p.route.setting("AllowPrefixes"))
		}
	}
	if p.md5 && b.md5 == "" && b.length != 0 {
		return coserr.New(http.StatusBadRequest, "MalformedXML",
			"COS requires Content-MD5, which cosproxy adds only to delete lists of at most %d MiB. Send Content-MD5, or fewer object keys.",
			deleteListLimit>>20)
	}
	return nil
}

// readForm reads the form up to its file.
func (b *body) readForm(req *request) (err error) {
	if b.length < 0 {
		return lengthRequiredError()
	}
	b.form, err = newForm(req, b.upload, b.buffered, b.length)
	return err
}

// measureChunks reads a chunked body up to bufferLimit. If it ends there, its length is
// known, so that COS accepts it for every operation and it can be retried; an empty one
// counts as no body (RFC 9112, 6.3). If it is longer, the upload returns the bytes read
// ahead first. planBody does not ask for this if COS accepts chunks and the client sent
// Expect: COS has to send 100 Continue before the client sends its body.
func (b *body) measureChunks(buf []byte) error {
	read := bytes.NewBuffer(buf[:0])
	_, err := io.CopyN(read, b.upload, bufferLimit+1)
	switch {
	case err == nil:
		b.upload.unread = read.Bytes()
		return nil
	case !errors.Is(err, io.EOF):
		return err
	}
	if b.length = int64(read.Len()); b.length > 0 {
		b.buffered = read.Bytes()
	}
	return nil
}

// takesChunks reports whether COS accepts the body without a length (COS document "PUT
// Object").
func takesChunks(req *request, c *candidate) bool {
	return c.op.Action == cosreq.PutObject && !req.isCopy()
}

// checkLength rejects a body of unknown length unless COS accepts it, which it does only
// for PUT Object. An HTTP/1.1 request without a length has no body (RFC 9112, 6.3), but an
// HTTP/1.0 upload must have a length (RFC 1945, 8.3).
func checkLength(req *request, c *candidate, b *body) error {
	writes := req.method == http.MethodPut || req.method == http.MethodPost
	switch {
	case b.length < 0 && !takesChunks(req, c):
		return lengthRequiredError()
	case req.head.Minor == 0 && writes && !req.has("Content-Length"):
		return coserr.New(http.StatusLengthRequired, "MissingContentLength",
			"An HTTP/1.0 upload requires Content-Length. Send the header, or use HTTP/1.1.")
	}
	return nil
}

// announcedLength returns the announced length of the body, after decoding; negative: chunked.
func announcedLength(req *request, x *http1.Exchange) int64 {
	if req.coding != nil {
		return req.coding.Length()
	}
	return x.Body.Length()
}

// bodyLength returns the announced length of the body. It rejects the body of a GET or
// HEAD, which has no meaning (RFC 9110, 9.3.1) and is not covered by the signature. An
// empty chunked body counts as no body.
func bodyLength(req *request, x *http1.Exchange) (int64, error) {
	length := announcedLength(req, x)
	if length == 0 || !req.readsOnly() {
		return length, nil
	}
	if length < 0 {
		var first [1]byte
		_, err := io.ReadFull(&x.Body, first[:])
		switch {
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			return 0, &clientError{err}
		}
	}
	return 0, coserr.New(http.StatusBadRequest, "InvalidRequest",
		"The %s request has a body, which COS does not use. Remove the body, or send it with PUT or POST.", req.method)
}

func lengthRequiredError() error {
	return coserr.New(http.StatusLengthRequired, "MissingContentLength",
		"COS requires the length of the body for this request, and the chunked body is longer than %d KiB. Send Content-Length.", bufferLimit>>10)
}
