package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
	"cosproxy/proxy/internal/crc64"
	"cosproxy/proxy/internal/formdata"
	"cosproxy/proxy/internal/s3req"
	"cosproxy/signer"
)

// form is a form upload (COS document "POST Object"). Its fields contain the signature, so
// each attempt writes the part before the file again. The file and everything after it
// are forwarded unchanged.
type form struct {
	boundary string
	fields   []signer.FormField // that are sent, without those of a signature
	s3       *s3Form            // nil in the dialect of COS
	file     formdata.Part
	reader   *formdata.Reader // of the tail: the file and everything after it
	buffered []byte           // the tail, if the body is buffered
	length   int64            // of the tail
	source   http1.Source     // of the complete body

	crc       uint64 // of the file
	signature string // of the last attempt
}

// complete sets the authorized object key. It reads a buffered form to its end, so that
// errors in it are found before it is sent.
func (f *form) complete(key string) error {
	f.keyField().Value = key
	if f.buffered == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, f)
	return err
}

// newForm reads a form up to its file. buffered is the complete body if it is buffered,
// else nil.
func newForm(req *request, source http1.Source, buffered []byte, length int64) (*form, error) {
	boundary, err := formBoundary(req)
	if err != nil {
		return nil, err
	}
	f := &form{boundary: boundary, source: source}
	body := io.Reader(source)
	if buffered != nil {
		body = bytes.NewReader(buffered)
	}
	f.reader = formdata.NewReader(body, boundary, length)
	f.reader.File = f.addFile
	if err := f.readFields(req); err != nil {
		return nil, err
	}
	head := f.reader.HeadSize()
	f.length = length - head
	if buffered != nil {
		f.buffered = buffered[head:]
	}
	return f, nil
}

// formBoundary returns the boundary of the form. It rejects requests that are not forms,
// and header fields and parameters that COS would use although the signature of a form
// does not cover them.
func formBoundary(req *request) (string, error) {
	boundary, err := formdata.Boundary(req.Values("Content-Type"))
	if err != nil {
		return "", err
	}
	if len(req.query.Params) > 0 {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument",
			"A form upload must not have query parameters (%q). Send them as form fields before the file.", req.query.Params[0].Key)
	}
	for _, f := range req.head.Fields {
		ofCOS := http1.HasPrefixFold(f.Name, "x-cos-") || http1.HasPrefixFold(f.Name, "x-ci-") || http1.EqualFold(f.Name, picOperationsField)
		ofS3 := http1.HasPrefixFold(f.Name, s3req.Prefix) && s3req.FieldUse(f.Name) == s3req.Forward
		if ofS3 || ofCOS && isForwarded(f.Name) {
			return "", coserr.New(http.StatusBadRequest, "InvalidArgument",
				"A form upload must not have the header %s. Send it as a form field before the file.", f.Name)
		}
	}
	return boundary, nil
}

// maxFormFields is the maximum number of fields before the file. They are buffered.
const maxFormFields = 100

// readFields reads the fields and the part header of the file, and determines the dialect
// of the form.
func (f *form) readFields(req *request) error {
	var all []signer.FormField
	for {
		part, err := f.reader.Next()
		if err != nil {
			return err
		}
		switch {
		case strings.EqualFold(part.Name, "file"):
			f.file = part
			return f.setFields(req, all)
		case part.HasFilename:
			return coserr.New(http.StatusBadRequest, "MalformedPOSTRequest",
				"The part %q contains a file. Send the file as the last part, with the name file.", part.Name)
		case len(all) == maxFormFields:
			return coserr.New(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
				"The form has more than %d fields before its file. Send fewer fields.", maxFormFields)
		}
		value, err := f.reader.Value()
		if err != nil {
			return err
		}
		all = append(all, signer.FormField{Name: part.Name, Value: value})
	}
}

// setFields sets the dialect of the request, and the fields that are sent.
func (f *form) setFields(req *request, all []signer.FormField) (err error) {
	if req.dialect, err = formDialect(req, all); err != nil {
		return err
	}
	sent := cosFields(all)
	if req.dialect == dialectS3 {
		f.s3, sent, err = newS3Form(all)
	} else {
		err = checkFormDialect(sent)
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, field := range sent {
		name := strings.ToLower(field.Name)
		if seen[name] {
			return repeatedFieldError(field.Name)
		}
		seen[name] = true
		if err := f.add(field.Name, field.Value); err != nil {
			return err
		}
	}
	return nil
}

func (f *form) add(name, value string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "The name of the form field %q contains a space, quote, backslash, control or non-ASCII character. Rename the field.", name)
	}
	if isAmbiguous(name) {
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "The name of the form field %q has _ instead of -, and a server may treat both alike. Send the name with -.", name)
	}
	if !utf8.ValidString(value) {
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "The value of the form field %q is not valid UTF-8, which the signature of a form requires. Send it as UTF-8.", name)
	}
	if strings.EqualFold(name, "key") {
		name = "key"
	}
	f.fields = append(f.fields, signer.FormField{Name: name, Value: value})
	return nil
}

// isAmbiguous reports whether a field name would be significant to a server that reads _
// as -, as some servers do in header names. Metadata is only stored.
func isAmbiguous(name string) bool {
	name = strings.ToLower(name)
	folded := strings.ReplaceAll(name, "_", "-")
	if folded == name || strings.HasPrefix(name, "x-cos-meta-") || strings.HasPrefix(name, "x-amz-meta-") {
		return false
	}
	ofCOS := strings.HasPrefix(folded, "x-cos-") || strings.HasPrefix(folded, "x-ci-") || strings.HasPrefix(folded, "x-amz-")
	return ofCOS || cosreq.NamesKeys(folded) || isSignatureField(folded)
}

// keyField returns the form field named key, or nil.
func (f *form) keyField() *signer.FormField {
	for i := range f.fields {
		if f.fields[i].Name == "key" {
			return &f.fields[i]
		}
	}
	return nil
}

// key returns the object key that COS will store: prefix and the form field key, with
// ${filename} replaced.
func (f *form) key(prefix string) (string, error) {
	const variable = "${filename}"
	field := f.keyField()
	if field == nil || field.Value == "" {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument", "The form has no field named key before its file. Send the object key there, such as uploads/${filename}.")
	}
	// Old browsers send the full path of the file.
	name := f.file.Filename[strings.LastIndexAny(f.file.Filename, `/\`)+1:]
	if strings.Contains(field.Value, variable) && (name == "" || !utf8.ValidString(name)) {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument", "The form field key contains %s, but the file has no UTF-8 filename. Send a filename, or a complete object key.", variable)
	}
	key := prefix + strings.ReplaceAll(field.Value, variable, name)
	if strings.Contains(key, "${") {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument", "The object key %q contains ${, which COS might replace. Choose another object key.", key)
	}
	if readsAsBucket(key) {
		return "", bucketKeyError(key)
	}
	return key, nil
}

// classifyForm sets the operation of c from the fields of the form.
func (c *candidate) classifyForm(f *form) error {
	key, err := f.key(c.keyPrefix)
	if err != nil {
		return err
	}
	c.op = cosreq.Operation{Action: cosreq.PostObject, Key: key}
	for _, field := range f.fields {
		name := strings.ToLower(field.Name)
		header := name
		if name == "acl" || name == "tagging" { // forms have these without x-cos-
			header = "x-cos-" + name
		}
		if noun := cosreq.Protected(header, field.Value); noun != "" {
			c.op.Also = append(c.op.Also, cosreq.Need{Action: c.op.Put(noun), By: field.Name})
		}
	}
	return nil
}

// checkPolicy enforces the policy of an S3 form at now. bucket is that of the route.
func (f *form) checkPolicy(bucket string, now time.Time) error {
	if f.s3 == nil {
		return nil
	}
	key, err := f.key("")
	if err != nil {
		return err
	}
	return f.s3.check(key, bucket, now)
}

// isProcessed reports whether COS processes the file before it stores it.
func (f *form) isProcessed() bool {
	return slices.ContainsFunc(f.fields, func(field signer.FormField) bool { return strings.EqualFold(field.Name, picOperationsField) })
}

// isIdempotent reports whether the form has the same effect if COS receives it twice.
func (f *form) isIdempotent() bool {
	return !slices.ContainsFunc(f.fields, func(field signer.FormField) bool { return strings.EqualFold(field.Name, "x-cos-forbid-overwrite") })
}

// crc64 returns the CRC-64 of the file. ok is false if COS stores other bytes, or if the
// end of the file is ambiguous.
func (f *form) crc64() (crc uint64, ok bool) {
	return f.crc, f.reader.FileComplete() && !f.isProcessed()
}

// addFile adds bytes of the file to its checksums.
func (f *form) addFile(p []byte) {
	f.crc = crc64.Update(f.crc, p)
	if f.s3 != nil {
		f.s3.addFile(p)
	}
}

// Read implements io.Reader. It reads the file and everything after it. If the file is not
// what an S3 form announces, Read fails before it returns the end of the form, so that COS
// stores nothing.
func (f *form) Read(p []byte) (int, error) {
	n, err := f.reader.Read(p)
	if f.s3 != nil && n > 0 {
		if err := f.s3.checkFile(f.reader.FileEnded()); err != nil {
			return 0, err
		}
	}
	return n, err
}

// Interrupt implements http1.Source.
func (f *form) Interrupt(cause error) { f.source.Interrupt(cause) }

// formFields are the header fields that are forwarded with a form. The signature of a form
// does not cover header fields, so only those that do not change what COS does are
// forwarded.
var formFields = newFieldSet("Accept", "Accept-Encoding", "Accept-Language", "Origin", "Referer", "User-Agent")

// contentType returns the media type of the form.
func (f *form) contentType() string {
	return mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": f.boundary})
}

// sign returns the part of the form before the file, signed with creds.
func (f *form) sign(rt *route, creds signer.Credentials, now time.Time) ([]byte, error) {
	signed, err := f.signatureFields(rt, creds, now)
	if err != nil {
		return nil, err
	}
	var head []byte
	for _, list := range [][]signer.FormField{signed, f.fields} {
		for _, field := range list {
			head = formdata.AppendField(head, f.boundary, field.Name, field.Value)
			if field.Name == "q-signature" || field.Name == "x-amz-signature" {
				f.signature = field.Value
			}
		}
	}
	return formdata.AppendFileHead(head, f.boundary, f.file), nil
}

// signatureFields returns the fields that sign the form, in its dialect.
func (f *form) signatureFields(rt *route, creds signer.Credentials, now time.Time) ([]signer.FormField, error) {
	if f.s3 != nil {
		return rt.s3signer.SignForm(signer.S3Form{Bucket: rt.Bucket, Region: rt.Region, Fields: f.fields, Limit: f.s3.limit()}, creds, now)
	}
	return rt.signer.SignForm(append([]signer.FormField{{Name: "bucket", Value: rt.Bucket}}, f.fields...), creds, now)
}
