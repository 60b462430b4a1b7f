package formdata_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzReader: the split into pieces has no effect, and mime/multipart reads every
// accepted form in the same way.
func FuzzReader(f *testing.F) {
	whole := field("key", "up/${filename}") + file("a b.txt", "content"+closing)
	for _, seed := range []string{
		whole, "\r\n" + whole, strings.ReplaceAll(whole, `"`, ""), strings.ReplaceAll(whole, "\r\n", "\n"),
		strings.Replace(whole, "filename=", "filename*=utf-8''", 1), field("key", "a\r\n--"+boundary+" \t") + whole, whole[:len(whole)-4],
		field("key", "a") + file("f", closing[2:]), whole + "epilogue", field("a", "\r\n\r\r\n") + whole,
	} {
		f.Add([]byte(seed), uint8(3))
	}
	for _, tt := range badTails {
		f.Add([]byte(field("key", "a")+file("f", "x"+tt.tail)), uint8(7))
	}
	for _, content := range contents {
		if len(content) < 1000 {
			f.Add([]byte(field("key", content)+file("f", content+closing)), uint8(1))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		got := readForm(bytes.NewReader(body), int64(len(body)), 64<<10)
		again := readForm(iotest.OneByteReader(bytes.NewReader(body)), int64(len(body)), int(size)+1)
		if (got.err == nil) != (again.err == nil) || got.err != nil && got.err.Error() != again.err.Error() {
			t.Fatalf("%q: %v, but in pieces %v", body, got.err, again.err)
		}
		if got.err != nil {
			if sent := got.headSize + int64(len(got.rest)); got.headSize > 0 && sent >= int64(len(body)) {
				t.Errorf("%q: all of it was returned, with %v", body, got.err)
			}
			return
		}
		if !slices.Equal(got.fields, again.fields) || got.part != again.part || got.headSize != again.headSize ||
			got.rest != again.rest || got.file != again.file || got.complete != again.complete {
			t.Fatalf("%q: %+v, but in pieces %+v", body, got, again)
		}
		if string(body[got.headSize:]) != got.rest || !strings.HasPrefix(got.rest, got.file) {
			t.Errorf("%q: the file is %q of %q", body, got.file, got.rest)
		}
		compare(t, body, got)
	})
}

// compare compares an accepted form with the result of mime/multipart.
func compare(t *testing.T, body []byte, got read) {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for i := 0; ; i++ {
		part, err := parts.NextRawPart()
		if err != nil && strings.Contains(err.Error(), "malformed MIME header") {
			return // a name that Part ignores, in a header that is never forwarded
		}
		if err != nil {
			t.Fatalf("%q: mime/multipart fails: %v", body, err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatalf("%q: mime/multipart fails: %v", body, err)
		}
		_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if err != nil {
			t.Fatalf("%q: mime/multipart reads the header %v", body, part.Header)
		}
		if i < len(got.fields) {
			if got.fields[i] != [2]string{params["name"], string(content)} {
				t.Fatalf("%q: mime/multipart reads %q = %q, not %q", body, params["name"], content, got.fields[i])
			}
			continue
		}
		if !strings.EqualFold(params["name"], "file") || params["filename"] != got.part.Filename || string(content) != got.file {
			t.Fatalf("%q: mime/multipart reads the file %q (%v), not %q", body, content, params, got.file)
		}
		if part, err := parts.NextRawPart(); err == nil {
			t.Errorf("%q: mime/multipart reads another part: %v", body, part.Header)
		}
		return
	}
}
