package formdata

import (
	"mime"
	"strings"
)

// Part is the header of one part of a form.
type Part struct {
	Name        string // Next never returns an empty one
	Filename    string
	HasFilename bool   // the part has a filename, which may be empty
	ContentType string // as received; may be empty
}

// Boundary returns the boundary in the values of Content-Type. It returns 400
// MalformedPOSTRequest unless there is exactly one value, multipart/form-data with a valid
// boundary.
func Boundary(contentType []string) (string, error) {
	if len(contentType) == 1 {
		kind, params, err := mime.ParseMediaType(contentType[0])
		if err == nil && kind == "multipart/form-data" && isBoundary(params["boundary"]) {
			return params["boundary"], nil
		}
	}
	return "", malformed("A POST to the bucket must be a form upload: multipart/form-data with a boundary. To upload without a form, send PUT /<key>.")
}

// isBoundary reports whether b is a valid boundary (RFC 2046, 5.1.1) without blanks.
func isBoundary(b string) bool {
	for _, c := range []byte(b) {
		if (c < '0' || '9' < c) && (c|0x20 < 'a' || 'z' < c|0x20) && strings.IndexByte("'()+_,-./:=?", c) < 0 {
			return false
		}
	}
	return 0 < len(b) && len(b) <= 70
}

// setHeader parses one header field of a part; name is in lower case. It ignores fields
// without a meaning in forms (RFC 7578, 4.8).
func (p *Part) setHeader(name, value string) error {
	switch name {
	case "content-disposition":
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "form-data" {
			return malformed("A part of the form has an invalid Content-Disposition: %q. Send form-data with a name.", value)
		}
		p.Name = params["name"]
		p.Filename, p.HasFilename = params["filename"]
	case "content-type":
		p.ContentType = value
	case "content-transfer-encoding":
		switch strings.ToLower(value) {
		case "7bit", "8bit", "binary":
		default:
			return malformed("A part of the form has the Content-Transfer-Encoding %q, which COS does not decode. Send the part without it.", value)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// AppendField appends a field. name must not contain quotes, backslashes or control bytes,
// and value must not contain the boundary.
func AppendField(dst []byte, boundary, name, value string) []byte {
	dst = appendDisposition(dst, boundary, name)
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// quoteFilename escapes a filename as browsers do (HTML standard, "multipart/form-data
// encoding algorithm").
var quoteFilename = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A")

// AppendFileHead appends the part header of the file, always with the name file. It removes
// backslashes at the end of the filename: some parsers would read a backslash and the
// closing quote as an escaped quote.
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
