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
	"cosproxy/signer"
)

// form is a form upload (COS document "POST Object"). Its signature is in its
// fields, so what precedes the file is written for each attempt; the file and all
// behind it are forwarded as they come.
type form struct {
	boundary string
	fields   []signer.FormField // that are kept
	file     formdata.Part
	reader   *formdata.Reader // of the file and what follows
	buffered []byte           // the same, if the whole body is in memory
	length   int64            // of either
	source   http1.Source     // of the whole body

	crc       uint64 // of the file
	signature string // of the last attempt
}

// complete gives the form the key that was authorized, and checks a form in memory to
// its end.
func (f *form) complete(key string) error {
	f.keyField().Value = key
	if f.buffered == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, f.reader)
	return err
}

// newForm reads the form up to its file. buffered is the whole body, if it is in memory.
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
	f.reader.File = func(p []byte) { f.crc = crc64.Update(f.crc, p) }
	if err := f.readFields(); err != nil {
		return nil, err
	}
	head := f.reader.HeadSize()
	f.length = length - head
	if buffered != nil {
		f.buffered = buffered[head:]
	}
	return f, nil
}

// formBoundary refuses what is not a form, or has anything outside the form that
// COS would heed although the form's signature does not cover it.
func formBoundary(req *request) (string, error) {
	boundary, err := formdata.Boundary(req.Values("Content-Type"))
	if err != nil {
		return "", err
	}
	if len(req.query.Params) > 0 {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument",
			"A form upload takes no parameters in its URL (%q); put them into fields in front of the file.", req.query.Params[0].Key)
	}
	for _, f := range req.head.Fields {
		if isForwarded(f.Name) && (http1.HasPrefixFold(f.Name, "x-cos-") || http1.HasPrefixFold(f.Name, "x-ci-") || http1.EqualFold(f.Name, picOperationsField)) {
			return "", coserr.New(http.StatusBadRequest, "InvalidArgument",
				"A form upload takes no header %s; put it into a field in front of the file.", f.Name)
		}
	}
	return boundary, nil
}

// maxFormFields bounds the fields in front of the file; they are held in memory.
const maxFormFields = 100

// readFields reads the fields, and the header of the file.
func (f *form) readFields() error {
	seen := map[string]bool{}
	for count := 0; ; count++ {
		part, err := f.reader.Next()
		if err != nil {
			return err
		}
		name := strings.ToLower(part.Name)
		switch {
		case name == "file":
			f.file = part
			return nil
		case part.HasFilename:
			return coserr.New(http.StatusBadRequest, "MalformedPOSTRequest",
				"The part %q has a file, but a form's file must be its last part and named file.", part.Name)
		case count == maxFormFields:
			return coserr.New(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
				"The form has more than %d fields in front of its file.", maxFormFields)
		}
		value, err := f.reader.Value()
		if err != nil {
			return err
		}
		if isSignatureField(name) {
			continue
		}
		if seen[name] {
			return coserr.New(http.StatusBadRequest, "InvalidArgument", "The form has the field %q twice. Send it once.", part.Name)
		}
		seen[name] = true
		if err := f.add(part.Name, value); err != nil {
			return err
		}
	}
}

func (f *form) add(name, value string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "The name of the form field %q may only have ASCII characters, without blanks and quotes.", name)
	}
	if isAmbiguous(name) {
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "A reader that takes _ for - would read the form field %q as another one. Write its name with -.", name)
	}
	if !utf8.ValidString(value) {
		return coserr.New(http.StatusBadRequest, "InvalidArgument", "The value of the form field %q is not UTF-8, so its policy cannot hold it.", name)
	}
	if strings.EqualFold(name, "key") {
		name = "key"
	}
	f.fields = append(f.fields, signer.FormField{Name: name, Value: value})
	return nil
}

// isAmbiguous reports whether a field would mean something to a reader that takes _
// for -, as some servers do with headers. Metadata is only stored.
func isAmbiguous(name string) bool {
	name = strings.ToLower(name)
	folded := strings.ReplaceAll(name, "_", "-")
	if folded == name || strings.HasPrefix(name, "x-cos-meta-") {
		return false
	}
	own := strings.HasPrefix(folded, "x-cos-") || strings.HasPrefix(folded, "x-ci-") || strings.HasPrefix(folded, "x-amz-")
	return own || cosreq.NamesKeys(folded) || isSignatureField(folded)
}

// isSignatureField reports whether a field, in lower case, belongs to a signature
// or names the bucket, which the host does. A client may have made them with
// credentials of its own; they are left out.
func isSignatureField(name string) bool {
	switch name {
	case "policy", "signature", "authorization", "x-cos-security-token", "x-ci-security-token", "bucket",
		// Those of S3 forms, which COS may know as well.
		"awsaccesskeyid", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature":
		return true
	}
	return strings.HasPrefix(name, "q-")
}

// keyField returns the field key, or nil.
func (f *form) keyField() *signer.FormField {
	for i := range f.fields {
		if f.fields[i].Name == "key" {
			return &f.fields[i]
		}
	}
	return nil
}

// key returns the key that COS will store under, with prefix in front of that of the
// form.
func (f *form) key(prefix string) (string, error) {
	const variable = "${filename}"
	field := f.keyField()
	if field == nil || field.Value == "" {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument", "The form has no field key in front of its file. It names the object, such as uploads/${filename}.")
	}
	// Old browsers send the path of the file as well.
	name := f.file.Filename[strings.LastIndexAny(f.file.Filename, `/\`)+1:]
	if strings.Contains(field.Value, variable) && (name == "" || !utf8.ValidString(name)) {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument", "The field key has %s, but the file has no name in UTF-8.", variable)
	}
	key := prefix + strings.ReplaceAll(field.Value, variable, name)
	if strings.Contains(key, "${") {
		return "", coserr.New(http.StatusBadRequest, "InvalidArgument", "The key %q has ${ in it, which COS might replace. Choose another key.", key)
	}
	if readsAsBucket(key) {
		return "", bucketKeyError(key)
	}
	return key, nil
}

// classifyForm gives c the operation of the form: what its fields ask for.
func (c *candidate) classifyForm(f *form) error {
	key, err := f.key(c.keyPrefix)
	if err != nil {
		return err
	}
	c.op = cosreq.Operation{Action: cosreq.PostObject, Key: key}
	for _, field := range f.fields {
		name := strings.ToLower(field.Name)
		judged := name
		if name == "acl" || name == "tagging" { // their names in forms
			judged = "x-cos-" + name
		}
		if noun := cosreq.Protected(judged, field.Value); noun != "" {
			c.op.Also = append(c.op.Also, cosreq.Need{Action: c.op.Put(noun), By: field.Name})
		}
	}
	return nil
}

// isProcessed reports whether COS stores another file than the one in the form.
func (f *form) isProcessed() bool {
	return slices.ContainsFunc(f.fields, func(field signer.FormField) bool { return strings.EqualFold(field.Name, picOperationsField) })
}

// isIdempotent reports whether COS ends up in the same state if it gets the form
// twice.
func (f *form) isIdempotent() bool {
	return !slices.ContainsFunc(f.fields, func(field signer.FormField) bool { return strings.EqualFold(field.Name, "x-cos-forbid-overwrite") })
}

// crc64 returns the CRC-64 of the file; ok is false if COS stores something else, or
// the end of the file is not known.
func (f *form) crc64() (crc uint64, ok bool) {
	return f.crc, f.reader.FileComplete() && !f.isProcessed()
}

// Read implements io.Reader for the file and what follows it.
func (f *form) Read(p []byte) (int, error) { return f.reader.Read(p) }

// Interrupt implements http1.Source.
func (f *form) Interrupt(cause error) { f.source.Interrupt(cause) }

// formFields are the request headers that are forwarded with a form. Its signature
// covers none, so none may change what COS does.
var formFields = newFieldSet("Accept", "Accept-Encoding", "Accept-Language", "Origin", "Referer", "User-Agent")

// contentType is the media type of the form.
func (f *form) contentType() string {
	return mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": f.boundary})
}

// sign returns what precedes the file, valid with creds.
func (f *form) sign(s *signer.Signer, bucket string, creds signer.Credentials, now time.Time) ([]byte, error) {
	conditions := append([]signer.FormField{{Name: "bucket", Value: bucket}}, f.fields...)
	signed, err := s.SignForm(conditions, creds, now)
	if err != nil {
		return nil, err
	}
	var head []byte
	for _, list := range [][]signer.FormField{signed, f.fields} {
		for _, field := range list {
			head = formdata.AppendField(head, f.boundary, field.Name, field.Value)
			if field.Name == "q-signature" {
				f.signature = field.Value
			}
		}
	}
	return formdata.AppendFileHead(head, f.boundary, f.file), nil
}
