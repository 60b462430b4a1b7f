package formdata

import (
	"mime"
	"strings"
)

// Part is the header of one part of a form.
type Part struct {
	Name        string // never empty in a part that was read
	Filename    string
	HasFilename bool   // a Filename, which may be empty, was given
	ContentType string // as written; may be empty
}

// Boundary returns the boundary that the values of Content-Type give. It fails with
// 400 MalformedPOSTRequest unless there is one value, for a form.
func Boundary(contentType []string) (string, error) {
	if len(contentType) == 1 {
		kind, params, err := mime.ParseMediaType(contentType[0])
		if err == nil && kind == "multipart/form-data" && isBoundary(params["boundary"]) {
			return params["boundary"], nil
		}
	}
	return "", malformed("A POST to the bucket is a form upload, and this one is not multipart/form-data with a boundary. To upload without a form, send PUT /key.")
}

// isBoundary reports whether b is a boundary (RFC 2046, 5.1.1), blanks excepted.
func isBoundary(b string) bool {
	for _, c := range []byte(b) {
		if (c < '0' || '9' < c) && (c|0x20 < 'a' || 'z' < c|0x20) && strings.IndexByte("'()+_,-./:=?", c) < 0 {
			return false
		}
	}
	return 0 < len(b) && len(b) <= 70
}

// setHeader reads one header line of a part. Those without a meaning in forms are
// ignored, as RFC 7578, 4.8 asks. name is in lower case.
func (p *Part) setHeader(name, value string) error {
	switch name {
	case "content-disposition":
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "form-data" {
			return malformed("The Content-Disposition of a part of the form cannot be read: %q.", value)
		}
		p.Name = params["name"]
		p.Filename, p.HasFilename = params["filename"]
	case "content-type":
		p.ContentType = value
	case "content-transfer-encoding":
		switch strings.ToLower(value) {
		case "7bit", "8bit", "binary":
		default:
			return malformed("A part of the form has the Content-Transfer-Encoding %q, which COS does not decode. Send it as it is.", value)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// AppendField appends a field. name has no quotes, backslashes or control bytes; value
// cannot hold the boundary if it was read with it.
func AppendField(dst []byte, boundary, name, value string) []byte {
	dst = appendDisposition(dst, boundary, name)
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// quoteFilename writes names into quotes as browsers do (HTML standard,
// "multipart/form-data encoding algorithm").
var quoteFilename = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A")

// AppendFileHead appends the header of the file, which is named file, whatever part
// calls it. Backslashes at the end of its Filename are left out: some readers would
// take one and the quote for an escaped quote.
func AppendFileHead(dst []byte, boundary string, part Part) []byte {
	dst = appendDisposition(dst, boundary, "file")
	if part.HasFilename {
		dst = append(dst, `; filename="`...)
		dst = append(dst, quoteFilename.Replace(strings.TrimRight(part.Filename, `\`))...)
		dst = append(dst, '"')
	}
	dst = append(dst, "\r\n"...)
	if part.ContentType != "" {
		dst = append(dst, "Content-Type: "...)
		dst = append(dst, part.ContentType...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendDisposition(dst []byte, boundary, name string) []byte {
	dst = append(dst, "--"...)
	dst = append(dst, boundary...)
	dst = append(dst, "\r\nContent-Disposition: form-data; name=\""...)
	dst = append(dst, name...)
	return append(dst, '"')
}
