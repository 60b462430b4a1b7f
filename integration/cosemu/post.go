package cosemu

import (
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxPostHead is the maximum size in bytes of the fields before a form's file.
const maxPostHead = 1 << 20

// postForm is a POST Object form whose file has not been read yet.
type postForm struct {
	fields       params     // in the order of the form
	lengthRanges [][2]int64 // allowed by the policy
	dialect      Dialect
	file         *multipart.Part
}

// get returns the value of a field, or "".
func (f *postForm) get(name string) string { return f.fields.get(name) }

// postObject handles a form upload. The signature is in the fields of the form: strict
// signature mode does not apply, and an Authorization header has no meaning.
func (x *exchange) postObject(bucket string) error {
	if err := x.checkLength(); err != nil {
		return err
	}
	f, err := readPostForm(x.r)
	if err != nil {
		return err
	}
	if err := f.setDialect(); err != nil {
		return err
	}
	x.dialect = f.dialect
	x.nameRequestID()
	authenticate := x.authenticateForm
	if x.dialect == DialectS3 {
		authenticate = x.authenticateS3Form
	}
	if err := authenticate(f, bucket); err != nil {
		return err
	}
	if x.bucket = x.s.store.buckets[bucket]; x.bucket == nil {
		return cosErrorf(http.StatusNotFound, "NoSuchBucket",
			"The specified bucket does not exist: no %s in %s", x.r.Host, x.s.options.Region)
	}
	return x.storeForm(f)
}

// storeForm authorizes an authenticated form and stores its file.
func (x *exchange) storeForm(f *postForm) error {
	key, err := f.key()
	if err != nil {
		return err
	}
	x.conditionHeader = f.conditionHeader()
	if err := x.requireAllowed(x.action, x.bucket.name, key); err != nil {
		return err
	}
	if err := checkCannedACL(f.header()["X-Cos-Acl"]); err != nil {
		return err
	}
	if err := f.rejectUnsupported(); err != nil {
		return err
	}
	tags, err := f.tags()
	if err != nil {
		return err
	}
	body, err := x.readFormFile(f)
	if err != nil {
		return err
	}
	o := &object{key: key, etag: contentETag(body), modified: x.now, meta: metadataFrom(f.header()), tags: tags, body: body}
	x.bucket.put(o)
	return x.respondToForm(f, o)
}

// readPostForm reads the fields of a form up to its file. It ignores parts after the
// file.
func readPostForm(r *http.Request) (*postForm, error) {
	malformed := cosErrorf(http.StatusBadRequest, "MalformedPOSTRequest",
		"The body of your POST request is not well-formed multipart/form-data.")
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, malformed
	}
	f, reader := &postForm{}, multipart.NewReader(r.Body, parameters["boundary"])
	for size := 0; ; {
		part, err := reader.NextRawPart()
		if err != nil {
			return nil, malformed
		}
		name := part.FormName()
		if name == "file" {
			f.file = part
			return f, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxPostHead))
		if err != nil {
			return nil, malformed
		}
		if size += len(value); size >= maxPostHead {
			return nil, cosErrorf(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
				"Your POST request fields preceding the upload file were too large.")
		}
		if f.fields.has(name) {
			return nil, invalidArgument("the form has the field %q twice", name)
		}
		f.fields = append(f.fields, param{name, string(value)})
	}
}

// expandedKey returns the field key with the name of the file in place of ${filename}.
func (f *postForm) expandedKey() string {
	return strings.ReplaceAll(f.get("key"), "${filename}", f.file.FileName())
}

// key returns the object key of the form.
func (f *postForm) key() (string, error) {
	key := f.expandedKey()
	switch {
	case key == "":
		return "", invalidArgument("the form has no field key")
	case len(key) > maxKey:
		return "", cosErrorf(http.StatusBadRequest, "KeyTooLong", "Your key is too long.")
	}
	return key, nil
}

// header returns the fields as the headers of an equivalent PUT Object.
func (f *postForm) header() http.Header {
	h := http.Header{}
	if kind := f.file.Header.Get("Content-Type"); kind != "" {
		h.Set("Content-Type", kind)
	}
	for _, field := range f.fields {
		if field.name == "acl" {
			h.Set("X-Cos-Acl", field.value)
		} else {
			h.Set(f.cosName(field.name), field.value)
		}
	}
	return h
}

// conditionHeader returns the fields for the conditions of a policy. No document says
// that the field acl counts as cos:x-cos-acl.
func (f *postForm) conditionHeader() http.Header {
	h := http.Header{}
	for _, field := range f.fields {
		h.Set(f.cosName(field.name), field.value)
	}
	return h
}

// readFormFile reads the file, and the form to its announced end. It stores nothing of
// a truncated form.
func (x *exchange) readFormFile(f *postForm) (*blob, error) {
	want, err := contentMD5(f.header())
	if err != nil {
		return nil, err
	}
	body, err := x.s.store.save(f.file)
	if err == nil {
		if _, err = io.Copy(io.Discard, x.r.Body); err != nil {
			body.remove()
		}
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, incompleteBody()
	case err != nil:
		return nil, err
	case want != nil && *want != body.md5:
		err = cosErrorf(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	default:
		err = f.checkFileLength(body.size)
	}
	if err != nil {
		body.remove()
		return nil, err
	}
	return body, nil
}

// respondToForm sends the response that success_action_redirect or
// success_action_status asks for.
func (x *exchange) respondToForm(f *postForm, o *object) error {
	x.setDigests(o.etag, o.body)
	if redirect, err := url.Parse(f.get("success_action_redirect")); err == nil && redirect.IsAbs() {
		added := url.Values{"bucket": {x.bucket.name}, "key": {o.key}, "etag": {o.etag}}.Encode()
		if redirect.RawQuery != "" {
			added = redirect.RawQuery + "&" + added
		}
		redirect.RawQuery = added
		x.setHeader("Location", redirect.String())
		return x.writeEmpty(http.StatusSeeOther)
	}
	location := (&url.URL{Scheme: "http", Host: x.r.Host, Path: "/" + o.key}).String()
	x.setHeader("Location", location)
	switch f.get("success_action_status") {
	case "200":
		return x.writeEmpty(http.StatusOK)
	case "201":
		text, err := xml.Marshal(postResponseXML{Location: location, Bucket: x.bucket.name, Key: o.key, ETag: o.etag})
		if err != nil {
			return err
		}
		x.setHeader("Content-Type", "application/xml")
		x.setHeader("Content-Length", strconv.Itoa(len(xmlHeader)+len(text)))
		x.writeStatus(http.StatusCreated)
		x.writeBody(xmlHeader + string(text))
		return nil
	}
	return x.writeEmpty(http.StatusNoContent)
}

type postResponseXML struct {
	XMLName                     xml.Name `xml:"PostResponse"`
	Location, Bucket, Key, ETag string
}
