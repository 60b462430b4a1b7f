package awschunked_test

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// fuzzForms are the forms that are fuzzed, with the CRC-32 as a trailer if they have one.
var fuzzForms = []string{plain, signed, signedTrailer, ecdsaTrailer}

// FuzzReader_Encoded decodes what the encoder of this test made. If a byte was changed, the
// complete data must be the original, or must not be returned.
func FuzzReader_Encoded(f *testing.F) {
	f.Add([]byte("hello"), []byte{1, 2}, uint8(0), uint8(3), uint16(0), byte(0))
	f.Add([]byte("\r\n0\r\n\r\n"), []byte{}, uint8(1), uint8(1), uint16(1), byte('\r'^'\n'))
	f.Add([]byte{}, []byte{1}, uint8(2), uint8(255), uint16(90), byte(32))
	f.Add(bytes.Repeat([]byte("a"), 5000), []byte{255, 255}, uint8(3), uint8(9), uint16(400), byte(1))
	f.Fuzz(func(t *testing.T, data, chunks []byte, kind, size uint8, at uint16, change byte) {
		sha256, content := fuzzForms[int(kind)%len(fuzzForms)], string(data)
		trailer, name := crc32Trailer(content), crc32Name
		if sha256 == signed {
			trailer, name = "", ""
		}
		sizes := make([]int, len(chunks))
		for i, c := range chunks {
			sizes[i] = int(c)
		}
		body := []byte(encode(sha256, content, trailer, sizes...))
		body[int(at)%len(body)] ^= change
		got, err := decode(bytes.NewReader(body), header(sha256, content, name), 64<<10)
		again, againErr := decode(iotest.OneByteReader(bytes.NewReader(body)), header(sha256, content, name), int(size)+1)
		if (err == nil) != (againErr == nil) || err != nil && err.Error() != againErr.Error() {
			t.Fatalf("%q: %v, but in pieces %v", body, err, againErr)
		}
		if change == 0 && err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		for _, got := range []string{got, again} {
			switch {
			case err != nil && len(data) > 0 && len(got) >= len(data):
				t.Errorf("%q: all of it was returned, with %v", body, err)
			case err == nil && trailer != "" && got != content:
				t.Errorf("%q: the data is %q, want %q", body, got, content)
			case err == nil && len(got) != len(data):
				t.Errorf("%q: %d bytes of data, want %d", body, len(got), len(data))
			}
		}
	})
}

// FuzzReader_Bytes compares the result for any bytes with a simple decoder that has the
// complete body.
func FuzzReader_Bytes(f *testing.F) {
	for kind, sha256 := range fuzzForms {
		trailer := crc32Trailer("hello")
		if sha256 == signed {
			trailer = ""
		}
		body := encode(sha256, "hello", trailer, 2)
		f.Add([]byte(body), uint8(kind), uint16(5))
		f.Add([]byte(strings.Replace(body, "==\r\n", "==\n\r\n", 1)), uint8(kind), uint16(5))
		f.Add([]byte(strings.Replace(body, "==\r\n", "==\n", 1)+"\n"), uint8(kind), uint16(5))
		f.Add([]byte(body+"\r\n"), uint8(kind), uint16(4))
		f.Add([]byte(encode(sha256, "", crc32Trailer(""))), uint8(kind), uint16(0))
		f.Add([]byte(strings.Repeat("0", 300)+body), uint8(kind), uint16(5))
	}
	f.Fuzz(func(t *testing.T, body []byte, kind uint8, length uint16) {
		sha256, name := fuzzForms[int(kind)%len(fuzzForms)], crc32Name
		if sha256 == signed {
			name = ""
		}
		h := header(sha256, "", name)
		h.DecodedLength = strconv.Itoa(int(length))
		want, ok := simpleDecode(string(body), sha256)
		ok = ok && len(want) == int(length)
		for _, raw := range []io.Reader{bytes.NewReader(body), iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(body)))} {
			got, err := decode(raw, h, int(kind)+1)
			if (err == nil) != ok {
				t.Fatalf("%q: %v, but the simple decoder returned %v", body, err, ok)
			}
			if ok && got != want {
				t.Errorf("%q: %q, want %q", body, got, want)
			}
			if !ok && length > 0 && len(got) >= int(length) {
				t.Errorf("%q: all of it was returned, with %v", body, err)
			}
		}
	})
}

var (
	extensions = map[string]string{
		plain: "", signed: ";chunk-signature=[0-9A-Fa-f]{64}", signedTrailer: ";chunk-signature=[0-9A-Fa-f]{64}",
		ecdsaTrailer: `;chunk-signature=[0-9A-Fa-f]+\**`,
	}
	lineEnd  = `(?:\r\n|\n|\n\r\n)`
	checksum = `x-amz-checksum-crc32:[\t ]*([0-9A-Za-z+/=]{8})[\t ]*` + lineEnd
	rests    = map[string]*regexp.Regexp{
		plain: regexp.MustCompile(`^(?i)` + checksum + `\r?\n$`), signed: regexp.MustCompile(`^\r?\n$`),
		signedTrailer: regexp.MustCompile(`^(?i)` + checksum + `x-amz-trailer-signature:[\t ]*[0-9A-Fa-f]{64}[\t ]*` + lineEnd + `\r?\n$`),
		ecdsaTrailer:  regexp.MustCompile(`^(?i)` + checksum + `x-amz-trailer-signature:[\t ]*([0-9A-Fa-f]+\**)[\t ]*` + lineEnd + `\r?\n$`),
	}
)

// simpleDecode decodes a complete body with regular expressions. ok is false if the body or
// its checksum is wrong.
func simpleDecode(body, sha256 string) (data string, ok bool) {
	chunk := regexp.MustCompile(`^([0-9A-Fa-f]+)(` + extensions[sha256] + `)\r\n`)
	for {
		found := chunk.FindStringSubmatch(body)
		if found == nil || len(found[0]) > 258 || len(found[2]) > len(";chunk-signature=")+144 {
			return "", false
		}
		size, err := strconv.ParseInt(found[1], 16, 64)
		if body = body[len(found[0]):]; err != nil || size > int64(len(body)) {
			return "", false
		}
		if size == 0 {
			break
		}
		data += body[:size]
		if body, ok = strings.CutPrefix(body[size:], "\r\n"); !ok {
			return "", false
		}
	}
	found := rests[sha256].FindStringSubmatch(body)
	if found == nil || len(body) >= 4<<10 || len(found) > 2 && len(found[2]) > 144 {
		return "", false
	}
	return data, len(found) == 1 || crc32Trailer(data) == crc32Name+":"+found[1]
}
