package cosemu

import (
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type copyResultXML struct {
	XMLName      xml.Name `xml:"CopyObjectResult"`
	ETag         string
	LastModified string
	CRC64        uint64
}

type copyPartResultXML struct {
	XMLName      xml.Name `xml:"CopyPartResult"`
	ETag         string
	LastModified string
	CRC64        uint64
}

// copyObject is PUT Object with x-cos-copy-source.
func (x *exchange) copyObject() error {
	directive := x.r.Header.Get("x-cos-metadata-directive")
	replaced := strings.EqualFold(directive, "Replaced")
	if directive != "" && !replaced && !strings.EqualFold(directive, "Copy") {
		return invalidArgument("x-cos-metadata-directive must be Copy or Replaced")
	}
	source, body, err := x.copySource()
	if err != nil {
		return err
	}
	tags := source.tags
	if strings.EqualFold(x.r.Header.Get("x-cos-tagging-directive"), "Replaced") {
		if tags, err = tagsFrom(x.r.Header); err != nil {
			body.close()
			return err
		}
	}
	return x.writeSlowly(func() (any, error) {
		defer body.close()
		copied, err := x.s.store.save(body)
		if err != nil {
			return nil, err
		}
		o := &object{key: x.key(), etag: contentETag(copied), modified: x.now, meta: source.meta.withACL(x.r.Header), tags: tags, body: copied}
		if replaced {
			o.meta = metadataFrom(x.r.Header)
		}
		x.bucket.put(o)
		x.setCRC(copied)
		return copyResultXML{ETag: o.etag, LastModified: xmlTime(o.modified), CRC64: copied.crc}, nil
	})
}

// copyPart is Upload Part - Copy.
func (x *exchange) copyPart(number int) error {
	source, body, err := x.copySource()
	if err != nil {
		return err
	}
	first, length := int64(0), source.body.size
	if header := x.r.Header.Get("x-cos-copy-source-range"); header != "" {
		var partial bool
		first, length, partial, err = parseRange(header, source.body.size)
		if err == nil && !partial {
			err = invalidArgument("x-cos-copy-source-range must be bytes=<first>-<last>")
		}
	}
	if err == nil {
		_, err = body.Seek(first, io.SeekStart)
	}
	if err != nil {
		body.close()
		return err
	}
	return x.writeSlowly(func() (any, error) {
		defer body.close()
		copied, err := x.s.store.save(io.LimitReader(body, length))
		if err != nil {
			return nil, err
		}
		p, err := x.addPart(number, copied)
		if err != nil {
			return nil, err
		}
		x.setCRC(copied)
		return copyPartResultXML{ETag: p.etag, LastModified: xmlTime(p.modified), CRC64: copied.crc}, nil
	})
}

// copySource opens the object that x-cos-copy-source names. It checks that the
// credentials allow reading it and that the x-cos-copy-source-If-* conditions hold.
func (x *exchange) copySource() (*object, blobReader, error) {
	host, path, _ := strings.Cut(x.r.Header.Get("x-cos-copy-source"), "/")
	escaped, _, versioned := strings.Cut(path, "?")
	if versioned {
		return nil, blobReader{}, notImplemented("versionId in x-cos-copy-source")
	}
	key, ok := unescape(escaped, true)
	if !ok || key == "" {
		return nil, blobReader{}, invalidArgument("x-cos-copy-source must be <bucket host>/<URL-encoded key>")
	}
	name := x.s.bucketHosts.bucket(host)
	bucket := x.s.store.buckets[name]
	if bucket == nil {
		return nil, blobReader{}, cosErrorf(http.StatusNotFound, "NoSuchBucket", "The source bucket does not exist: no %s in %s", host, x.s.options.Region)
	}
	if err := x.requireAllowed("GetObject", name, key); err != nil {
		return nil, blobReader{}, err
	}
	o, body, err := bucket.get(key)
	switch {
	case err != nil:
		return nil, blobReader{}, err
	case o == nil:
		return nil, blobReader{}, noSuchKey()
	case o.needsRestore(x.now):
		body.close()
		return nil, blobReader{}, invalidObjectState()
	}
	h := x.r.Header
	err = checkConditions(conditions{
		match: h.Get("x-cos-copy-source-If-Match"), noneMatch: h.Get("x-cos-copy-source-If-None-Match"),
		modifiedSince: h.Get("x-cos-copy-source-If-Modified-Since"), unmodifiedSince: h.Get("x-cos-copy-source-If-Unmodified-Since"),
	}, o)
	if err != nil {
		body.close()
		return nil, blobReader{}, preconditionFailed() // 304 makes no sense to a PUT
	}
	return o, body, nil
}

// partNumber parses the parameter partNumber.
func (x *exchange) partNumber() (int, error) {
	n, err := strconv.Atoi(x.query.get("partNumber"))
	if err != nil || n < 1 || n > 10000 {
		return 0, invalidArgument("partNumber must be an integer from 1 to 10000")
	}
	return n, nil
}
