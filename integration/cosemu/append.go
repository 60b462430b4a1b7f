package cosemu

import (
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
)

// appendObject is APPEND Object: it creates an appendable object or extends one.
func (x *exchange) appendObject() error {
	position, err := strconv.ParseInt(x.query.get("position"), 10, 64)
	if err != nil || position < 0 {
		return invalidArgument("position must be a number of bytes")
	}
	piece, err := x.readBody()
	if err != nil {
		return err
	}
	o, err := x.appendTo(position, piece)
	if err != nil {
		piece.remove()
		return err
	}
	x.setDigests(o.etag, o.body)
	x.setHeader("x-cos-next-append-position", strconv.FormatInt(o.body.size, 10))
	// The Go SDK compares this header with the MD5 of the bytes it sent.
	x.setHeader("x-cos-content-sha1", hex.EncodeToString(piece.md5[:]))
	return x.writeEmpty(http.StatusOK)
}

// appendTo publishes the object with piece at its end. The object keeps piece itself
// if it has no other bytes.
func (x *exchange) appendTo(position int64, piece *blob) (*object, error) {
	old, body, err := x.bucket.get(x.key())
	if err != nil {
		return nil, err
	}
	o := &object{key: x.key(), modified: x.now, meta: metadataFrom(x.r.Header), appendable: true, body: piece}
	size := int64(0)
	if old != nil {
		defer body.close()
		if !old.appendable {
			return nil, cosErrorf(http.StatusConflict, "ObjectNotAppendable", "The object is not appendable.")
		}
		size = old.body.size
	}
	if position != size {
		x.setHeader("x-cos-next-append-position", strconv.FormatInt(size, 10))
		return nil, cosErrorf(http.StatusConflict, "AppendPositionErr", "The value of position does not equal the length of the object, %d.", size)
	}
	if old != nil {
		tail, err := piece.open()
		if err != nil {
			return nil, err
		}
		defer tail.close()
		o.meta, o.grants, o.tags = old.meta, old.grants, old.tags
		if o.body, err = x.s.store.save(io.MultiReader(body, tail)); err != nil {
			return nil, err
		}
	}
	o.etag = contentETag(o.body)
	if !x.bucket.replace(old, o) {
		if o.body != piece {
			o.body.remove()
		}
		return nil, cosErrorf(http.StatusConflict, "PathConflict", "The object was changed at the same time.")
	}
	if o.body != piece {
		piece.remove()
	}
	return o, nil
}
