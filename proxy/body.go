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

// bufferLimit is the length up to which a body is read before the request is
// sent, so that it can be sent again: on another connection if COS has just
// closed an idle one, and with other credentials if COS rejects the first.
const bufferLimit = 64 << 10

// body is the body of a request to COS. The zero value is none.
type body struct {
	length     int64   // http1.LengthChunked if it is not known
	buffered   []byte  // the whole body; nil: it is streamed, or there is none
	upload     *upload // of a body that is streamed; its count is that of all bodies
	form       *form   // nil if the body is not a form
	deleteKeys []string
	md5        string // a Content-MD5 that the client did not send
}

// isStreamed reports whether the body is read from the client while it is sent.
func (b *body) isStreamed() bool { return b.length != 0 && b.buffered == nil }

// crc64 returns the CRC-64 of what COS has to store; ok is false if it is not known.
// It must not be asked before all was read.
func (b *body) crc64() (crc uint64, ok bool) {
	if b.form != nil {
		return b.form.crc64()
	}
	return b.upload.crc, b.upload.hasCRC
}

// bodyPlan is what is read of a body before the request is sent.
type bodyPlan struct {
	length  int64 // announced
	limit   int64 // up to which a body of known length is buffered
	measure bool  // a body in chunks is read up to bufferLimit, to give it a length
	list    bool  // it is a list of keys to delete that has to be read whole
	keys    bool  // the keys of that list have to be checked
	form    bool
	route   *route // of the first candidate, for messages
}

// planBody decides by the head. first is the candidate that is most likely to be
// used; the keys of a list are not read if it allows all of them.
func planBody(req *request, first *candidate, length int64) bodyPlan {
	p := bodyPlan{length: length, limit: bufferLimit, route: first.route}
	p.form = first.op.Action == cosreq.PostObject
	if first.op.Key == "" && first.op.Needs(isDelete) {
		p.keys = !first.route.allowsAllKeys()
		// COS demands a Content-MD5, and newer S3 clients leave it out.
		p.list = p.keys || len(req.head.Get("Content-MD5")) == 0 && length != 0
	}
	if p.list {
		p.limit = deleteListLimit
	}
	p.measure = length < 0 && (!takesChunks(req, first) || !req.has("Expect"))
	return p
}

// namesKeys reports whether keys that the request touches are in the body.
func (p bodyPlan) namesKeys() bool { return p.keys || p.form }

// reads is how many bytes may be held before the request has a slot.
func (p bodyPlan) memory() int64 {
	switch {
	case p.length == 0, p.length < 0 && !p.measure, p.length > p.limit && !p.form:
		return 0
	case p.length < 0 || p.length > p.limit: // of a form, the fields are read
		return bufferLimit
	}
	return max(p.length, bytes.MinRead)
}

// read reads as much of the body as the plan says. buf is memory that may be used.
func (p bodyPlan) read(u *upload, req *request, buf []byte) (body, error) {
	b := body{length: p.length, upload: u}
	switch {
	case p.length < 0 && p.measure:
		if err := b.measureChunks(buf); err != nil {
			return b, err
		}
	case p.length > 0 && p.length <= p.limit:
		var err error
		if b.buffered, err = u.readAll(buf, p.length); err != nil {
			return b, err
		}
	}
	switch {
	case p.list:
		return b, b.readDeletes(req, p)
	case p.form:
		return b, b.readForm(req)
	}
	return b, nil
}

// readDeletes reads the keys of a list that is in memory if they have to be checked,
// and makes the Content-MD5 that COS demands unless the client sent one.
func (b *body) readDeletes(req *request, p bodyPlan) error {
	if b.length < 0 {
		return lengthRequiredError()
	}
	if p.keys {
		var err error
		if b.deleteKeys, err = parseDeleteList(b.buffered); err != nil {
			return coserr.New(http.StatusBadRequest, "MalformedXML",
				"The body is not a list of keys to delete of at most %d MiB.", deleteListLimit>>20).
				Try("Its keys have to be checked against", p.route.setting("AllowPrefixes"))
		}
	}
	if len(req.head.Get("Content-MD5")) > 0 {
		return nil
	}
	if b.buffered == nil && b.length != 0 {
		return coserr.New(http.StatusBadRequest, "MalformedXML",
			"COS demands a Content-MD5, and cosproxy makes one for lists of up to %d MiB only. Send the header, or fewer keys at once.",
			deleteListLimit>>20)
	}
	if len(b.buffered) > 0 {
		b.md5 = contentMD5(b.buffered)
	}
	return nil
}

// readForm reads the form up to its file. A form in memory is checked to its end; a
// longer one while it is sent.
func (b *body) readForm(req *request) (err error) {
	if b.length < 0 {
		return lengthRequiredError()
	}
	b.form, err = newForm(req, b.upload, b.buffered, b.length)
	return err
}

// measureChunks reads a body in chunks up to bufferLimit. One that ends there has a
// length from then on, so that COS takes it for every operation and it can be sent
// again; an empty one is none (RFC 9112, 6.3). What was read of a longer one is sent
// first. A client that waits for 100 Continue with an upload that COS takes in chunks
// is not asked for the body before COS has agreed.
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

// takesChunks reports whether COS takes the body without a length (COS document
// "PUT Object").
func takesChunks(req *request, c *candidate) bool {
	return c.op.Action == cosreq.PutObject && len(req.head.Get(copySourceField)) == 0
}

// checkLength refuses a body whose length COS would have to guess. COS takes one
// of unknown length for PUT Object only. A request without any length has no
// body in HTTP/1.1 (RFC 9112, 6.3), but HTTP/1.0 demands one (RFC 1945, 8.3).
func checkLength(req *request, c *candidate, b *body) error {
	writes := req.method == http.MethodPut || req.method == http.MethodPost
	switch {
	case b.length < 0 && !takesChunks(req, c):
		return lengthRequiredError()
	case req.head.Minor == 0 && writes && !req.has("Content-Length"):
		return coserr.New(http.StatusLengthRequired, "MissingContentLength",
			"An HTTP/1.0 upload needs a Content-Length header.")
	}
	return nil
}

// bodyLength returns the announced length of the body. It refuses the body of a GET
// or HEAD: COS gives none a meaning (RFC 9110, 9.3.1), and no signature covers it. An
// empty one counts as none, also in chunks.
func bodyLength(req *request, x *http1.Exchange) (int64, error) {
	length := x.Body.Length()
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
		"%s has a body, which COS gives no meaning. Leave it out, or send it with PUT or POST.", req.method)
}
