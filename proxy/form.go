package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cosproxy/signer"
)

const postObject = actionPrefix + "PostObject"

// form is a form upload (COS document "POST Object"). Its signature stands in
// its fields, so what precedes the file is written anew for each attempt; the
// file and all behind it go on as they come.
type form struct {
	boundary string
	bucket   string
	fields   []signer.FormField // that are kept; key is the one that COS stores under
	file     formPart
	small    []byte    // the file and what follows, if the whole body is within replayLimit
	stream   io.Reader // the same otherwise
	length   int64     // of either
	sum      *fileSum  // of the file; nil if it is not compared

	signature string // of the last attempt
}

// signed is the signature inside the form, empty where f is nil.
func (f *form) signed() string {
	if f == nil {
		return ""
	}
	return f.signature
}

// readForm reads the form up to its file, and checks that the route allows the
// key. A small form is checked to its end; a large one while it is sent.
func (p *Proxy) readForm(x *exchange) error {
	boundary, err := formBoundary(x.r, x.target.query)
	if err != nil {
		return err
	}
	f := &form{boundary: boundary, bucket: x.target.route.Bucket}
	body := io.Reader(&x.upload)
	if x.upload.small != nil {
		body = bytes.NewReader(x.upload.small)
	}
	reader := newFormReader(body, boundary)
	err = f.read(reader)
	x.upload.watchdog.stop()
	if err != nil {
		return x.failure(err)
	}
	if err := f.setKey(x.target.keyPrefix); err != nil {
		return err
	}
	if err := p.authorizeForm(x, f); err != nil {
		return err
	}
	if err := f.checkOtherKeys(x.target.route); err != nil {
		return err
	}
	if p.checksums && !slices.ContainsFunc(f.fields, isProcessing) {
		f.sum = newFileSum(boundary)
	}
	if err := f.watch(x, reader); err != nil {
		return err
	}
	f.setHeader(x.out.Header)
	x.upload.form = f
	return nil
}

// formBoundary refuses what is no form, or has anything outside the form that
// COS would heed although the form's signature does not cover it.
func formBoundary(r *http.Request, q query) (string, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	boundary := params["boundary"]
	if err != nil || kind != "multipart/form-data" || !isBoundary(boundary) || len(r.Header["Content-Type"]) > 1 {
		return "", malformedForm("A POST to the bucket is a form upload, and this one is not multipart/form-data with a boundary. To upload without a form, send PUT /key.")
	}
	if r.ContentLength == 0 {
		return "", errFormHasNoFile()
	}
	if len(q.params) > 0 {
		return "", errorf(http.StatusBadRequest, "InvalidArgument",
			"A form upload takes no parameters in its URL (%q); put them into fields in front of the file.", q.params[0].key)
	}
	for name := range r.Header {
		if !isForwarded(name) || !strings.HasPrefix(name, "X-Cos-") && !strings.HasPrefix(name, "X-Ci-") && name != "Pic-Operations" {
			continue
		}
		return "", errorf(http.StatusBadRequest, "InvalidArgument",
			"A form upload takes no header %s; put it into a field in front of the file.", name)
	}
	return boundary, nil
}

// isBoundary reports whether b is a boundary (RFC 2046, 5.1.1), blanks excepted.
func isBoundary(b string) bool {
	for _, c := range []byte(b) {
		if !isAlphanumeric(c) && !strings.ContainsRune("'()+_,-./:=?", rune(c)) {
			return false
		}
	}
	return 0 < len(b) && len(b) <= 70
}

// read reads the fields, and the header of the file.
func (f *form) read(r *formReader) error {
	seen := map[string]bool{}
	for count := 0; ; count++ {
		part, err := r.next()
		if err != nil {
			return err
		}
		name := strings.ToLower(part.name)
		switch {
		case name == "file":
			f.file = part
			f.length = -r.size
			return nil
		case part.hasFilename:
			return malformedForm("The part %q has a file, but a form's file must be its last part and named file.", part.name)
		case count == maxFormFields:
			return errorf(http.StatusBadRequest, "MaxPostPreDataLengthExceeded",
				"The form has more than %d fields in front of its file.", maxFormFields)
		}
		value, err := r.value()
		if err != nil {
			return err
		}
		if isSignatureField(name) {
			continue
		}
		if seen[name] {
			return errorf(http.StatusBadRequest, "InvalidArgument", "The form has the field %q twice. Send it once.", part.name)
		}
		seen[name] = true
		if err := f.add(part.name, value); err != nil {
			return err
		}
	}
}

func (f *form) add(name, value string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return errorf(http.StatusBadRequest, "InvalidArgument", "The name of the form field %q may only have ASCII characters, without blanks and quotes.", name)
	}
	if folds(name) {
		return errorf(http.StatusBadRequest, "InvalidArgument", "A reader that takes _ for - would read the form field %q as another one. Write its name with -.", name)
	}
	if !utf8.ValidString(value) {
		return errorf(http.StatusBadRequest, "InvalidArgument", "The value of the form field %q is not UTF-8, so its policy cannot hold it.", name)
	}
	if strings.EqualFold(name, "key") {
		name = "key"
	}
	f.fields = append(f.fields, signer.FormField{Name: name, Value: value})
	return nil
}

// folds reports whether a field would mean something to a reader that takes _ for -,
// as some servers do with headers. Metadata is only stored.
func folds(name string) bool {
	folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if !strings.Contains(name, "_") || strings.HasPrefix(strings.ToLower(name), "x-cos-meta-") {
		return false
	}
	own := strings.HasPrefix(folded, "x-cos-") || strings.HasPrefix(folded, "x-ci-") || strings.HasPrefix(folded, "x-amz-")
	return own || isOtherKey(folded) || isSignatureField(folded)
}

// isSignatureField reports whether a field, in lower case, belongs to a signature
// or names the bucket, which the host does. A client may have made them with a key
// of its own; they are left out.
func isSignatureField(name string) bool {
	switch name {
	case "policy", "signature", "authorization", "x-cos-security-token", "x-ci-security-token", "bucket",
		// Those of S3 forms, which COS may know as well.
		"awsaccesskeyid", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature":
		return true
	}
	return strings.HasPrefix(name, "q-")
}

// key returns the field of that name, or nil.
func (f *form) key() *signer.FormField {
	for i := range f.fields {
		if f.fields[i].Name == "key" {
			return &f.fields[i]
		}
	}
	return nil
}

// setKey makes the field key the one that COS will store under, so that there is
// nothing left to substitute.
func (f *form) setKey(prefix string) error {
	const variable = "${filename}"
	field := f.key()
	if field == nil || field.Value == "" {
		return errorf(http.StatusBadRequest, "InvalidArgument", "The form has no field key in front of its file. It names the object, such as uploads/${filename}.")
	}
	// Old browsers send the path of the file as well.
	name := f.file.filename[strings.LastIndexAny(f.file.filename, `/\`)+1:]
	if strings.Contains(field.Value, variable) && (name == "" || !utf8.ValidString(name)) {
		return errorf(http.StatusBadRequest, "InvalidArgument", "The field key has %s, but the file has no name in UTF-8.", variable)
	}
	key := prefix + strings.ReplaceAll(field.Value, variable, name)
	if strings.Contains(key, "${") {
		return errorf(http.StatusBadRequest, "InvalidArgument", "The key %q has ${ in it, which COS might replace. Choose another key.", key)
	}
	if path.Clean("/"+key) == "/" {
		return errReadsAsBucket(key)
	}
	field.Value = key
	return nil
}

// authorizeForm checks the key and what the fields ask for, which was not known
// when the route was chosen.
func (p *Proxy) authorizeForm(x *exchange, f *form) error {
	x.target.op = operation{action: postObject, key: f.key().Value}
	x.target.op.also = f.needs(x.target.op)
	return p.settle(x, func(rt *route) error { return rt.authorize(x.target, x.r.Method) })
}

// watch looks at what has come of the file, and has the rest looked at as it
// comes.
func (f *form) watch(x *exchange, r *formReader) error {
	f.length += x.r.ContentLength
	tail := newFormTail(f.boundary)
	ahead := r.buffered()
	if x.upload.small != nil {
		f.small = x.upload.small[r.size:]
		ahead = f.small
	}
	if err := tail.write(ahead); err != nil {
		return err
	}
	f.sum.write(ahead)
	if int64(len(ahead)) == f.length {
		if err := tail.end(); err != nil {
			return err
		}
	}
	if f.small != nil {
		return nil
	}
	f.stream = r.r
	x.r.Body = &watchedTail{ReadCloser: x.r.Body, tail: tail, sum: f.sum, left: f.length - int64(len(ahead))}
	return nil
}

// isProcessing reports whether COS stores another file than the one in the form.
func isProcessing(field signer.FormField) bool {
	return strings.EqualFold(field.Name, "Pic-Operations")
}

// formHeaders are the request headers that go on with a form. Its signature
// covers none, so that there is none that changes what COS does.
var formHeaders = map[string]bool{
	"Accept":          true,
	"Accept-Encoding": true,
	"Accept-Language": true,
	"Origin":          true,
	"Referer":         true,
	"User-Agent":      true,
	"Via":             true, // the proxy's own
}

func (f *form) setHeader(h http.Header) {
	for name := range h {
		if !formHeaders[name] {
			delete(h, name)
		}
	}
	h["Content-Type"] = []string{mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": f.boundary})}
}

// idempotent reports whether COS ends up in the same state if it gets the form
// twice.
func (f *form) idempotent() bool {
	return f != nil && !slices.ContainsFunc(f.fields, func(field signer.FormField) bool {
		return strings.EqualFold(field.Name, "x-cos-forbid-overwrite")
	})
}

// sign gives req the body that is valid with creds.
func (f *form) sign(s *signer.Signer, req *http.Request, creds signer.Credentials, now time.Time) error {
	conditions := append([]signer.FormField{{Name: "bucket", Value: f.bucket}}, f.fields...)
	fields, err := s.SignForm(conditions, creds, now)
	if err != nil {
		return err
	}
	for _, field := range fields {
		if field.Name == "q-signature" {
			f.signature = field.Value
		}
	}
	head := f.head(fields)
	req.ContentLength = int64(len(head)) + f.length
	if f.small == nil {
		req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(head), f.stream))
		return nil
	}
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(head), bytes.NewReader(f.small))), nil
	}
	req.Body, err = req.GetBody()
	return err
}

// quoteFilename is how browsers write names into quotes (HTML standard,
// "multipart/form-data encoding algorithm").
var quoteFilename = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A")

// head writes what precedes the file. Values cannot hold the boundary, since they
// were told apart by it.
func (f *form) head(signed []signer.FormField) []byte {
	var b bytes.Buffer
	delimiter := "--" + f.boundary + "\r\nContent-Disposition: form-data; name=\""
	for _, list := range [][]signer.FormField{signed, f.fields} {
		for _, field := range list {
			b.WriteString(delimiter + field.Name + "\"\r\n\r\n" + field.Value + "\r\n")
		}
	}
	b.WriteString(delimiter + "file\"")
	if f.file.hasFilename { // some readers would take a backslash at its end and the quote for one
		b.WriteString("; filename=\"" + quoteFilename.Replace(strings.TrimRight(f.file.filename, `\`)) + "\"")
	}
	b.WriteString("\r\n")
	if f.file.contentType != "" {
		b.WriteString("Content-Type: " + f.file.contentType + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
