package digest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
)

// published are the checksums of "123456789" (catalog of parametrized CRC algorithms;
// FIPS 180-4 for SHA), and of the empty body.
var published = []struct{ name, of9, ofEmpty string }{
	{"x-amz-checksum-crc32", "y/Q5Jg==", "AAAAAA=="},                                                                          // cbf43926
	{"x-amz-checksum-crc32c", "4waSgw==", "AAAAAA=="},                                                                         // e3069283
	{"x-amz-checksum-crc64nvme", "rosUhgp5mIg=", "AAAAAAAAAAA="},                                                              // ae8b14860a799888
	{"x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},                                   // f7c3bc1d…
	{"x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, // 15e2b0d3…
	{"x-amz-content-sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
}

// newSum returns a sum that expects value.
func newSum(t testing.TB, name, value string) *digest.Sum {
	t.Helper()
	s := digest.New(name)
	if s == nil {
		t.Fatalf("%s is unknown", name)
	}
	if err := s.Expect(value); err != nil {
		t.Fatal(err)
	}
	return s
}

// wantCode checks that an error is a *coserr.Error with status 400 and this code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *coserr.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func mismatch(name string) string {
	if name == "x-amz-content-sha256" {
		return "XAmzContentSHA256Mismatch"
	}
	return "BadDigest"
}

func TestSum_Published(t *testing.T) {
	for _, tt := range published {
		t.Run(tt.name, func(t *testing.T) {
			for body, value := range map[string]string{"123456789": tt.of9, "": tt.ofEmpty} {
				s := newSum(t, tt.name, value)
				_, _ = io.Copy(struct{ io.Writer }{s}, iotest.HalfReader(strings.NewReader(body)))
				if err := s.Check(); err != nil {
					t.Errorf("%q: %v", body, err)
				}
				_, _ = s.Write([]byte("0"))
				wantCode(t, s.Check(), mismatch(tt.name))
			}
			wantCode(t, digest.New(tt.name).Check(), mismatch(tt.name)) // nothing is expected
		})
	}
}

func TestSum_Names(t *testing.T) {
	if s := digest.New("X-Amz-Checksum-Crc32C"); s == nil || s.Name() != "x-amz-checksum-crc32c" {
		t.Errorf("%v", s)
	}
	for _, name := range []string{
		"", "x-amz-checksum-", "x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-md5", "crc32", "x-amz-trailer-signature",
	} {
		if digest.New(name) != nil {
			t.Errorf("%q is known", name)
		}
	}
}

func TestSum_MalformedValues(t *testing.T) {
	for _, tt := range published {
		code := "InvalidRequest"
		if tt.name == "x-amz-content-sha256" {
			code = "InvalidArgument"
		}
		for _, value := range []string{
			"", " " + tt.of9, tt.of9 + " ", tt.of9[1:], tt.of9 + tt.of9, tt.of9[:len(tt.of9)-1], "!" + tt.of9[1:],
			tt.of9[:4] + "\r\n" + tt.of9[4:], tt.of9[:4] + "\n\n" + tt.of9[6:], "UNSIGNED-PAYLOAD",
		} {
			wantCode(t, digest.New(tt.name).Expect(value), code)
		}
	}
	wantCode(t, digest.New("x-amz-checksum-crc32").Expect("y/Q5Jh=="), "InvalidRequest") // bits after the last byte
}

// readAll reads with reads of size bytes.
func readAll(r io.Reader, size int) (string, error) {
	var b strings.Builder
	_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, size))
	return b.String(), err
}

var splits = map[string]func(io.Reader) io.Reader{
	"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "with EOF": iotest.DataErrReader,
	"bytes with EOF": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
}

func TestReader(t *testing.T) {
	for how, split := range splits {
		for _, size := range []int{1, 2, 9, 100} {
			for _, tt := range published {
				r := digest.NewReader(split(strings.NewReader("123456789")), 9, newSum(t, tt.name, tt.of9), newSum(t, published[0].name, published[0].of9))
				if got, err := readAll(r, size); err != nil || got != "123456789" {
					t.Errorf("%s of %s by %d: %q, %v", tt.name, how, size, got, err)
				}
				if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // io.EOF itself is wanted
					t.Errorf("after the end: %d, %v", n, err)
				}
				bad := digest.NewReader(split(strings.NewReader("123456780")), 9, newSum(t, tt.name, tt.of9))
				got, err := readAll(bad, size)
				wantCode(t, err, mismatch(tt.name))
				if len(got) == 9 {
					t.Errorf("%s of %s by %d: the complete body was returned", tt.name, how, size)
				}
				n, again := bad.Read(make([]byte, 9))
				if n != 0 || again != err { //nolint:errorlint // the very error is wanted
					t.Errorf("then %d, %v", n, again)
				}
			}
		}
	}
}

// A body of length 0 is verified by its first Read.
func TestReader_Empty(t *testing.T) {
	for _, tt := range published {
		n, err := digest.NewReader(strings.NewReader(""), 0, newSum(t, tt.name, tt.ofEmpty)).Read(make([]byte, 1))
		if n != 0 || err != io.EOF { //nolint:errorlint // io.EOF itself is wanted
			t.Errorf("%s: %d, %v", tt.name, n, err)
		}
		_, err = digest.NewReader(strings.NewReader(""), 0, newSum(t, tt.name, tt.of9)).Read(make([]byte, 1))
		wantCode(t, err, mismatch(tt.name))
	}
	_, err := digest.NewReader(strings.NewReader("a"), 0).Read(make([]byte, 1))
	wantCode(t, err, "IncompleteBody")
}

// A Read without room has no effect.
func TestReader_NoRoom(t *testing.T) {
	for _, length := range []int64{0, 1} {
		r := digest.NewReader(strings.NewReader("a"[:length]), length)
		if n, err := r.Read(nil); n != 0 || err != nil {
			t.Errorf("length %d: %d, %v", length, n, err)
		}
		if got, err := readAll(r, 8); len(got) != int(length) || err != nil {
			t.Errorf("length %d: then %q, %v", length, got, err)
		}
	}
}

func TestReader_Length(t *testing.T) {
	for how, split := range splits {
		for _, length := range []int64{0, 1, 8, 10, 1 << 40} {
			got, err := readAll(digest.NewReader(split(strings.NewReader("123456789")), length), 4)
			wantCode(t, err, "IncompleteBody")
			if int64(len(got)) >= length && length > 0 {
				t.Errorf("%s, length %d: %q", how, length, got)
			}
		}
	}
}

// The sums get their expected value when the underlying reader ends.
func TestReader_LateValue(t *testing.T) {
	sum := digest.New("x-amz-checksum-crc32")
	r := digest.NewReader(io.MultiReader(strings.NewReader("123456789"), trailer{sum}), 9, sum)
	if got, err := readAll(r, 100); got != "123456789" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// trailer is a reader without bytes that sets the expected value.
type trailer struct{ sum *digest.Sum }

func (tr trailer) Read([]byte) (int, error) {
	if err := tr.sum.Expect("y/Q5Jg=="); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// An error of the connection is returned unchanged, including a wrapped io.EOF, and without
// the last bytes.
func TestReader_Failures(t *testing.T) {
	failure := fmt.Errorf("broken: %w", io.EOF)
	for at := range 10 {
		for _, split := range splits {
			body := io.MultiReader(strings.NewReader("123456789"[:at]), iotest.ErrReader(failure))
			got, err := readAll(digest.NewReader(split(body), 9), 4)
			if err != failure || len(got) == 9 { //nolint:errorlint // the very error is wanted
				t.Errorf("at %d: %q, %v", at, got, err)
			}
		}
	}
}

func TestReader_Allocations(t *testing.T) {
	body, p := bytes.NewReader(make([]byte, 1<<20)), make([]byte, 1<<10)
	r := digest.NewReader(body, 1<<20, digest.New("x-amz-checksum-crc64nvme"), digest.New("x-amz-checksum-sha1"))
	if n := testing.AllocsPerRun(100, func() { _, _ = r.Read(p) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSum(b *testing.B) {
	p := make([]byte, 64<<10)
	for _, tt := range published {
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			s := digest.New(tt.name)
			for b.Loop() {
				_, _ = s.Write(p)
			}
		})
	}
}
