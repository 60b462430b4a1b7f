package cosemu

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
)

func (x *exchange) putObject() error {
	if x.r.Header["X-Cos-Copy-Source"] != nil {
		return x.copyObject()
	}
	tags, err := tagsFrom(x.r.Header)
	if err != nil {
		return err
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	o := &object{key: x.key(), etag: contentETag(body), modified: x.now, meta: metadataFrom(x.r.Header), tags: tags, body: body}
	x.bucket.put(o)
	x.setDigests(o.etag, body)
	return x.writeEmpty(http.StatusOK)
}

// readBody reads the body of the request to its announced end and checks Content-MD5.
// It stores nothing of a truncated body.
func (x *exchange) readBody() (*blob, error) {
	want, err := contentMD5(x.r.Header)
	if err != nil {
		return nil, err
	}
	body, err := x.s.store.save(x.r.Body)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, incompleteBody()
	case err != nil:
		return nil, err
	case want != nil && *want != body.md5:
		body.remove()
		return nil, cosErrorf(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	return body, nil
}

// contentMD5 returns the digest of Content-MD5, or nil.
func contentMD5(h http.Header) (*[md5.Size]byte, error) {
	header := h.Get("Content-MD5")
	if header == "" {
		return nil, nil
	}
	digest, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(digest) != md5.Size {
		return nil, cosErrorf(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified is not valid.")
	}
	return (*[md5.Size]byte)(digest), nil
}

func (x *exchange) setDigests(etag string, body *blob) {
	x.setHeader("ETag", etag)
	x.setCRC(body)
}

// setCRC has no effect after the response has started.
func (x *exchange) setCRC(body *blob) {
	x.setHeader("x-cos-hash-crc64ecma", strconv.FormatUint(body.crc, 10))
}

// deleteObject sends the same response for existing and missing objects.
func (x *exchange) deleteObject() error {
	x.bucket.remove(x.key())
	return x.writeEmpty(http.StatusNoContent)
}
