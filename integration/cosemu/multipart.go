package cosemu

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// minPart is the minimum size in bytes of every part but the last.
const minPart = 1 << 20

// upload is a multipart upload in progress. The lock of its bucket guards it.
type upload struct {
	id        string
	key       string
	initiated time.Time
	meta      metadata
	tags      []tagXML
	parts     map[int]*part
}

type part struct {
	number   int
	etag     string // quoted
	modified time.Time
	body     *blob
}

type initiateResultXML struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

func (x *exchange) initiateMultipartUpload() error {
	tags, err := tagsFrom(x.r.Header)
	if err != nil {
		return err
	}
	u := &upload{
		id: base64.RawURLEncoding.EncodeToString(randomBytes(24)), key: x.key(), initiated: x.now,
		meta: metadataFrom(x.r.Header), tags: tags, parts: map[int]*part{},
	}
	x.bucket.mu.Lock()
	x.bucket.uploads[u.id] = u
	x.bucket.mu.Unlock()
	return x.writeXML(initiateResultXML{Bucket: x.bucket.name, Key: u.key, UploadID: u.id})
}

// upload returns the upload of x. The caller must hold the lock of the bucket.
func (x *exchange) upload() (*upload, error) {
	u := x.bucket.uploads[x.query.get("uploadId")]
	if u == nil || u.key != x.key() {
		return nil, noSuchUpload()
	}
	return u, nil
}

func (x *exchange) uploadPart() error {
	number, err := x.partNumber()
	if err != nil {
		return err
	}
	if x.r.Header["X-Cos-Copy-Source"] != nil {
		return x.copyPart(number)
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	p, err := x.addPart(number, body)
	if err != nil {
		return err
	}
	x.setDigests(p.etag, body)
	return x.writeEmpty(http.StatusOK)
}

// addPart adds body to the upload of x and replaces a part with the same number. It
// removes body if there is no such upload.
func (x *exchange) addPart(number int, body *blob) (*part, error) {
	p := &part{number: number, etag: contentETag(body), modified: x.now, body: body}
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	u, err := x.upload()
	if err != nil {
		body.remove()
		return nil, err
	}
	if old := u.parts[number]; old != nil {
		old.body.remove()
	}
	u.parts[number] = p
	return p, nil
}

func (x *exchange) abortMultipartUpload() error {
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	u, err := x.upload()
	if err != nil {
		return err
	}
	delete(x.bucket.uploads, u.id)
	u.remove()
	return x.writeEmpty(http.StatusNoContent)
}

func (u *upload) remove() {
	for _, p := range u.parts {
		p.body.remove()
	}
}

type completeXML struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    []struct {
		PartNumber int
		ETag       string
	}
}

type completeResultXML struct {
	XMLName  xml.Name `xml:"CompleteMultipartUploadResult"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

func (x *exchange) completeMultipartUpload() error {
	var wanted completeXML
	if err := x.readXML(&wanted); err != nil {
		return err
	}
	u, parts, err := x.takeUpload(wanted)
	if err != nil {
		return err
	}
	return x.writeSlowly(func() (any, error) {
		o, err := x.assemble(u, parts)
		if err != nil {
			x.bucket.mu.Lock()
			defer x.bucket.mu.Unlock()
			x.bucket.uploads[u.id] = u
			return nil, err
		}
		x.bucket.put(o)
		u.remove()
		x.setCRC(o.body)
		return completeResultXML{
			Location: x.r.Host + "/" + escape(u.key), Bucket: x.bucket.name, Key: u.key, ETag: o.etag,
		}, nil
	})
}

// takeUpload removes the upload from the bucket, so that only one request can complete
// it. It fails if the listed parts are not the uploaded ones.
func (x *exchange) takeUpload(wanted completeXML) (*upload, []*part, error) {
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	u, err := x.upload()
	if err != nil {
		return nil, nil, err
	}
	if len(wanted.Part) == 0 {
		return nil, nil, malformedXML()
	}
	for i := 1; i < len(wanted.Part); i++ {
		if wanted.Part[i].PartNumber <= wanted.Part[i-1].PartNumber {
			return nil, nil, cosErrorf(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order.")
		}
	}
	parts := make([]*part, len(wanted.Part))
	for i, w := range wanted.Part {
		p := u.parts[w.PartNumber]
		if p == nil || strings.Trim(w.ETag, `"`) != strings.Trim(p.etag, `"`) {
			return nil, nil, cosErrorf(http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found: part %d", w.PartNumber)
		}
		if i < len(wanted.Part)-1 && p.body.size < minPart {
			return nil, nil, cosErrorf(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size: part %d", w.PartNumber)
		}
		parts[i] = p
	}
	delete(x.bucket.uploads, u.id)
	return u, parts, nil
}

// assemble creates an object from the parts. Its ETag is the MD5 of their MD5s.
func (x *exchange) assemble(u *upload, parts []*part) (*object, error) {
	sums := md5.New()
	readers := make([]io.Reader, len(parts))
	for i, p := range parts {
		reader, err := p.body.open()
		if err != nil {
			return nil, err
		}
		defer reader.close()
		readers[i] = reader
		sums.Write(p.body.md5[:])
	}
	body, err := x.s.store.save(io.MultiReader(readers...))
	if err != nil {
		return nil, err
	}
	etag := fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(sums.Sum(nil)), len(parts))
	return &object{key: u.key, etag: etag, modified: x.now, meta: u.meta, tags: u.tags, body: body}, nil
}
