package awschunked_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"cosproxy/proxy/internal/awschunked"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
)

const (
	plain         = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signed        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	ecdsa         = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	ecdsaTrailer  = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
)

// signatures are signatures of each form by x-amz-content-sha256; empty means none.
var signatures = map[string]string{
	plain: "", "": "", "UNSIGNED-PAYLOAD": "",
	signed: strings.Repeat("0f", 32), signedTrailer: strings.Repeat("0f", 32),
	ecdsa: strings.Repeat("30", 70) + "****", ecdsaTrailer: strings.Repeat("30", 71) + "**",
}

// encode is a simple encoder: chunks of these sizes, the last for the rest of data, and a
// trailer unless trailer is empty.
func encode(sha256, data, trailer string, sizes ...int) string {
	var b strings.Builder
	extension := ""
	if s := signatures[sha256]; s != "" {
		extension = ";chunk-signature=" + s
	}
	for _, size := range append(sizes, len(data)) {
		if size = min(size, len(data)); size > 0 {
			fmt.Fprintf(&b, "%x%s\r\n%s\r\n", size, extension, data[:size])
			data = data[size:]
		}
	}
	fmt.Fprintf(&b, "0%s\r\n", extension)
	if trailer != "" {
		b.WriteString(trailer + "\r\n")
	}
	if strings.HasSuffix(sha256, "-TRAILER") && extension != "" {
		b.WriteString("x-amz-trailer-signature:" + signatures[sha256] + "\r\n")
	}
	return b.String() + "\r\n"
}

const crc32Name = "x-amz-checksum-crc32"

// crc32Trailer is the trailer with the CRC-32 of data.
func crc32Trailer(data string) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(data)))
	return crc32Name + ":" + base64.StdEncoding.EncodeToString(sum)
}

// newReader returns the decoded body.
func newReader(raw io.Reader, h awschunked.Header, sums ...*digest.Sum) (io.Reader, error) {
	c, err := awschunked.Parse(h)
	if err != nil {
		return nil, err
	}
	return c.Decode(raw, sums...), nil
}

// decode decodes a body with reads of size bytes.
func decode(raw io.Reader, h awschunked.Header, size int, sums ...*digest.Sum) (string, error) {
	r, err := newReader(raw, h, sums...)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	_, err = io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, size))
	if n, again := r.Read(make([]byte, 9)); n != 0 || err != nil && again != err || err == nil && again != io.EOF { //nolint:errorlint // the very error is wanted
		return b.String(), fmt.Errorf("a Read after %w returned %d, %w", err, n, again)
	}
	return b.String(), err
}

// wantCode checks that an error is a *coserr.Error with this code and text, and status 400.
func wantCode(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *coserr.Error
	if !errors.As(err, &e) || e.Status != 400 || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

var splits = map[string]func(io.Reader) io.Reader{
	"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "with EOF": iotest.DataErrReader,
	"bytes with EOF": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
}

// TestReader_Published decodes the examples of the Amazon S3 API Reference: "Transferring
// Payload in Multiple Chunks" and "Including Trailing Headers".
func TestReader_Published(t *testing.T) {
	data := strings.Repeat("a", 66560)
	for _, tt := range []struct {
		sha256, trailer, name string
		signatures            [3]string
		length                int
	}{
		{signed, "", "", [3]string{
			"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}, 66824},
		{
			signedTrailer, "x-amz-checksum-crc32c:sOO8/Q==\r\n" +
				"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n", "x-amz-checksum-crc32c", [3]string{
				"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"}, 66946,
		},
	} {
		body := "10000;chunk-signature=" + tt.signatures[0] + "\r\n" + data[:65536] + "\r\n" +
			"400;chunk-signature=" + tt.signatures[1] + "\r\n" + data[:1024] + "\r\n" +
			"0;chunk-signature=" + tt.signatures[2] + "\r\n" + tt.trailer + "\r\n"
		if len(body) != tt.length {
			t.Fatalf("%s has %d bytes, want %d", tt.sha256, len(body), tt.length)
		}
		h := awschunked.Header{ContentSHA256: tt.sha256, DecodedLength: "66560", Trailer: tt.name}
		for how, split := range splits {
			for _, size := range []int{1, 1000, 65536, 100_000} {
				if got, err := decode(split(strings.NewReader(body)), h, size); err != nil || got != data {
					t.Errorf("%s, %s by %d: %d bytes, %v", tt.sha256, how, size, len(got), err)
				}
			}
		}
	}
}

// header is the header of a body with data.
func header(sha256, data, trailer string) awschunked.Header {
	return awschunked.Header{ContentSHA256: sha256, DecodedLength: strconv.Itoa(len(data)), Trailer: trailer}
}

// Every form, with every split of the raw body and of the chunks.
func TestReader_Forms(t *testing.T) {
	for sha256 := range signatures {
		for _, data := range []string{"", "a", "\r\n0\r\n\r\n", "123456789", strings.Repeat("0123456789abcdef\r\n", 300)} {
			for _, trailer := range []string{"", crc32Trailer(data)} {
				name, _, _ := strings.Cut(trailer, ":")
				if name != "" && (sha256 == signed || sha256 == ecdsa) {
					continue
				}
				for _, chunks := range [][]int{nil, {1, 2, 3}, {5, 4, 4090}} {
					for how, split := range splits {
						for _, size := range []int{1, 7, 4096, 100_000} {
							got, err := decode(split(strings.NewReader(encode(sha256, data, trailer, chunks...))), header(sha256, data, name), size)
							if err != nil || got != data {
								t.Errorf("%s %q %s by %d: %.50q, %v", sha256, trailer, how, size, got, err)
							}
						}
					}
				}
			}
		}
	}
}

// Bodies that differ from the usual ones and are correct.
func TestReader_Unusual(t *testing.T) {
	const hmac = "0;chunk-signature=" + "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f" + "\r\n"
	hello, sum := "5;"+hmac[2:]+"hello\r\n"+hmac, "x-amz-checksum-crc32:NhCmhg==" // without its line end
	signature := "x-amz-trailer-signature:" + signatures[signed]
	for name, tt := range map[string]struct{ sha256, body, trailer string }{
		"MinIO client":                {plain, "5\r\nhello\r\n0\r\n" + sum + "\n\r\n\r\n", crc32Name},
		"MinIO client, signed":        {signedTrailer, hello + sum + "\n\r\n" + signature + "\r\n\r\n", crc32Name},
		"bare line feeds":             {signedTrailer, hello + sum + "\n" + signature + "\n\r\n", crc32Name},
		"blanks and upper case":       {plain, "05\r\nhello\r\n000\r\nX-Amz-Checksum-CRC32: NhCmhg== \r\n\r\n", " X-Amz-Checksum-CRC32 ,"},
		"two trailers":                {plain, "5\r\nhello\r\n0\r\n" + sum + "\r\nx-amz-checksum-sha1:qvTGHdzF6KLavt4PO0gs2a6pQ00=\r\n\r\n", "x-amz-checksum-sha1, " + crc32Name},
		"no trailer":                  {plain, "5\r\nhello\r\n0\r\n\r\n", ""},
		"signature without a trailer": {signedTrailer, hello + signature + "\r\n\r\n", ""},
		"hash of the body":            {strings.Repeat("0", 64), "5\r\nhello\r\n0\r\n\r\n", ""},
		"largest header":              {plain, strings.Repeat("0", 255) + "5\r\nhello\r\n0\r\n\r\n", ""},
	} {
		for _, split := range splits {
			if got, err := decode(split(strings.NewReader(tt.body)), header(tt.sha256, "hello", tt.trailer), 100); err != nil || got != "hello" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

func TestReader_Malformed(t *testing.T) {
	const incomplete, trailer = "IncompleteBody", "MalformedTrailerError"
	const sum = "x-amz-checksum-crc32:NhCmhg==\r\n"
	const good = "5\r\nhello\r\n0\r\n" + sum + "\r\n"
	hmac := signatures[signed]
	withSignature := func(s string) string { return "5" + s + "\r\nhello\r\n0" + s + "\r\n\r\n" }
	end := func(s string) string {
		return "5;chunk-signature=" + hmac + "\r\nhello\r\n0;chunk-signature=" + hmac + "\r\n" + s
	}
	for name, tt := range map[string]struct{ sha256, trailer, body, code, text string }{
		"empty":                       {plain, crc32Name, "", incomplete, "ended before its last chunk"},
		"ends in a size":              {plain, crc32Name, "5", incomplete, "ended before its last chunk"},
		"ends after a header":         {plain, crc32Name, "5\r\n", incomplete, "ended inside a chunk"},
		"ends in the data":            {plain, crc32Name, "5\r\nhell", incomplete, "ended inside a chunk"},
		"ends after the data":         {plain, crc32Name, "5\r\nhello", incomplete, "ended before its last chunk"},
		"ends after a chunk":          {plain, crc32Name, "5\r\nhello\r\n", incomplete, "ended before its last chunk"},
		"ends after the last header":  {plain, crc32Name, "5\r\nhello\r\n0\r\n", incomplete, "ended after its last chunk"},
		"ends in the trailer":         {plain, crc32Name, good[:len(good)-6], incomplete, "ended after its last chunk"},
		"ends after the trailer":      {plain, crc32Name, good[:len(good)-2], incomplete, "ended after its last chunk"},
		"ends in the last line":       {plain, crc32Name, good[:len(good)-1], incomplete, "ended after its last chunk"},
		"no size":                     {plain, "", "\r\nhello\r\n0\r\n\r\n", incomplete, "malformed chunk header"},
		"invalid size":                {plain, "", "5 \r\nhello\r\n0\r\n\r\n", incomplete, "malformed chunk header"},
		"prefix of a size":            {plain, "", "0x5\r\nhello\r\n0\r\n\r\n", incomplete, "malformed chunk header"},
		"negative size":               {plain, "", "-5\r\nhello\r\n0\r\n\r\n", incomplete, "malformed chunk header"},
		"overflow":                    {plain, "", "10000000000000005\r\nhello\r\n0\r\n\r\n", incomplete, "malformed chunk header"},
		"overflow of the sign":        {plain, "", "8000000000000000\r\nhello\r\n0\r\n\r\n", incomplete, "malformed chunk header"},
		"bare line feed":              {plain, "", "5\nhello\r\n0\r\n\r\n", incomplete, "does not end with CR LF"},
		"bare line feed after data":   {plain, "", "5\r\nhello\n0\r\n\r\n", incomplete, "does not end with CR LF"},
		"chunk longer than its size":  {plain, "", "3\r\nhello\r\n0\r\n\r\n", incomplete, "longer than its header says"},
		"much longer than its size":   {plain, "", "3\r\n" + strings.Repeat("x", 1<<20), incomplete, "longer than its header says"},
		"chunk shorter than its size": {plain, "", "6\r\nhello\r\n0\r\n\r\n", incomplete, "longer than its announced length"},
		"header too long":             {plain, "", strings.Repeat("0", 256) + "5\r\nhello\r\n0\r\n\r\n", incomplete, "over 256 bytes"},
		"header without end":          {plain, "", strings.Repeat("0", 1<<20), incomplete, "over 256 bytes"},
		"longer than announced":       {plain, "", "7\r\nhello a\r\n0\r\n\r\n", incomplete, "longer than its announced length"},
		"one more chunk":              {plain, "", "5\r\nhello\r\n1\r\na\r\n0\r\n\r\n", incomplete, "longer than its announced length"},
		"shorter than announced":      {plain, "", "4\r\nhell\r\n0\r\n\r\n", incomplete, "shorter than its announced length"},
		"only the last chunk":         {plain, "", "0\r\n\r\n", incomplete, "shorter than its announced length"},
		"signature, unsigned":         {plain, "", withSignature(";chunk-signature=" + hmac), incomplete, "malformed chunk header"},
		"empty extension":             {plain, "", withSignature(";"), incomplete, "malformed chunk header"},
		"no signature":                {signed, "", withSignature(""), incomplete, "malformed chunk header"},
		"another extension":           {signed, "", withSignature(";signature=" + hmac), incomplete, "malformed chunk header"},
		"two extensions":              {signed, "", withSignature(";chunk-signature=" + hmac + ";a=b"), incomplete, "malformed chunk header"},
		"short signature":             {signed, "", withSignature(";chunk-signature=" + hmac[1:]), incomplete, "malformed chunk header"},
		"long signature":              {signed, "", withSignature(";chunk-signature=" + hmac + "0"), incomplete, "malformed chunk header"},
		"signature not in hex":        {signed, "", withSignature(";chunk-signature=" + hmac[1:] + "g"), incomplete, "malformed chunk header"},
		"padded HMAC":                 {signed, "", withSignature(";chunk-signature=" + hmac[1:] + "*"), incomplete, "malformed chunk header"},
		"long ECDSA":                  {ecdsa, "", withSignature(";chunk-signature=" + strings.Repeat("3", 145)), incomplete, "malformed chunk header"},
		"padding only":                {ecdsa, "", withSignature(";chunk-signature=" + strings.Repeat("*", 144)), incomplete, "malformed chunk header"},
		"padding inside":              {ecdsa, "", withSignature(";chunk-signature=3*3"), incomplete, "malformed chunk header"},
		"bytes after the end":         {plain, "", "5\r\nhello\r\n0\r\n\r\nx", trailer, "bytes after its end"},
		"bytes after the trailer":     {plain, crc32Name, good + "\r\n", trailer, "bytes after its end"},
		"another body":                {plain, crc32Name, good + strings.Repeat(good, 1000), trailer, "4 KiB"},
		"long trailers":               {plain, crc32Name, "5\r\nhello\r\n0\r\n" + strings.Repeat("x-amz-a: b\r\n", 1000), trailer, "4 KiB"},
		"missing trailer":             {plain, crc32Name, "5\r\nhello\r\n0\r\n\r\n", trailer, "no x-amz-checksum-crc32"},
		"unannounced trailer":         {plain, "", good, trailer, "does not announce"},
		"unannounced, signed":         {signed, "", end(sum + "\r\n"), trailer, "does not announce"},
		"another trailer":             {plain, crc32Name, strings.Replace(good, "-crc32", "-crc32c", 1), trailer, "does not announce"},
		"same trailer twice":          {plain, crc32Name, strings.Replace(good, sum, sum+sum, 1), trailer, "one twice"},
		"trailer without a name":      {plain, crc32Name, "5\r\nhello\r\n0\r\n:NhCmhg==\r\n\r\n", trailer, "does not announce"},
		"trailer without a colon":     {plain, crc32Name, strings.Replace(good, "2:", "2 ", 1), trailer, "does not announce"},
		"trailer signature, unsigned": {plain, "", "5\r\nhello\r\n0\r\nx-amz-trailer-signature:" + hmac + "\r\n\r\n", trailer, "does not announce"},
		"trailer signature, none":     {signed, "", end("x-amz-trailer-signature:" + hmac + "\r\n\r\n"), trailer, "does not announce"},
		"no trailer signature":        {signedTrailer, crc32Name, end(sum + "\r\n"), trailer, "no x-amz-trailer-signature"},
		"short trailer signature":     {signedTrailer, crc32Name, end(sum + "x-amz-trailer-signature:" + hmac[1:] + "\r\n\r\n"), trailer, "invalid signature"},
		"trailer signature first":     {signedTrailer, crc32Name, end("x-amz-trailer-signature:" + hmac + "\r\n" + sum + "\r\n"), trailer, "does not announce"},
		"two trailer signatures":      {signedTrailer, "", end(strings.Repeat("x-amz-trailer-signature:"+hmac+"\r\n", 2) + "\r\n"), trailer, "does not announce"},
		"signature, trailer missing":  {signedTrailer, crc32Name, end("x-amz-trailer-signature:" + hmac + "\r\n\r\n"), trailer, "does not announce"},
		"invalid checksum":            {plain, crc32Name, strings.Replace(good, "=", "", 1), "InvalidRequest", "x-amz-checksum-crc32 is not the base64"},
		"empty checksum":              {plain, crc32Name, strings.Replace(good, "NhCmhg==", "", 1), "InvalidRequest", "x-amz-checksum-crc32 is not the base64"},
		"another checksum":            {plain, crc32Name, strings.Replace(good, "Nh", "Mh", 1), "BadDigest", "x-amz-checksum-crc32"},
		"another body, checksum":      {plain, crc32Name, strings.Replace(good, "hello", "hallo", 1), "BadDigest", "x-amz-checksum-crc32"},
	} {
		t.Run(name, func(t *testing.T) {
			for how, split := range splits {
				for _, size := range []int{1, 5, 100} {
					got, err := decode(split(strings.NewReader(tt.body)), header(tt.sha256, "hello", tt.trailer), size)
					wantCode(t, err, tt.code, tt.text)
					if len(got) >= 5 {
						t.Errorf("%s by %d: all bytes were returned: %q", how, size, got)
					}
				}
			}
		})
	}
}

// A body of length 0 is verified by its first Read.
func TestReader_Empty(t *testing.T) {
	for body, code := range map[string]string{
		"0\r\n" + crc32Trailer("") + "\r\n\r\n":  "",
		"0\r\n" + crc32Trailer("a") + "\r\n\r\n": "BadDigest",
		"0\r\n\r\n":                              "MalformedTrailerError",
		"":                                       "IncompleteBody",
		"1\r\na\r\n0\r\n" + crc32Trailer("a") + "\r\n\r\n": "IncompleteBody",
	} {
		r, err := newReader(strings.NewReader(body), header(plain, "", crc32Name))
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.Read(make([]byte, 10))
		if code != "" {
			wantCode(t, err, code, "")
		} else if err != io.EOF { //nolint:errorlint // io.EOF itself is wanted
			t.Errorf("%q: %v", body, err)
		}
		if n != 0 {
			t.Errorf("%q: %d bytes", body, n)
		}
	}
}

// Sums of the header are verified in addition to trailers.
func TestReader_Sums(t *testing.T) {
	for value, want := range map[string]bool{"qvTGHdzF6KLavt4PO0gs2a6pQ00=": true, "qvTGHdzF6KLavt4PO0gs2a6pQ04=": false} {
		sum := digest.New("x-amz-checksum-sha1")
		if err := sum.Expect(value); err != nil {
			t.Fatal(err)
		}
		got, err := decode(strings.NewReader(encode(plain, "hello", crc32Trailer("hello"))), header(plain, "hello", crc32Name), 3, sum)
		if want && (err != nil || got != "hello") {
			t.Errorf("%q, %v", got, err)
		}
		if !want {
			wantCode(t, err, "BadDigest", "x-amz-checksum-sha1")
		}
	}
}

func TestParse(t *testing.T) {
	c, err := awschunked.Parse(awschunked.Header{ContentSHA256: plain, DecodedLength: "9223372036854775807"})
	if err != nil || c.Length() != 1<<63-1 {
		t.Errorf("%v", err)
	}
	for _, tt := range []struct {
		header awschunked.Header
		status int
		code   string
	}{
		{awschunked.Header{ContentSHA256: plain}, 411, "MissingContentLength"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "-1"}, 411, "MissingContentLength"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "+1"}, 411, "MissingContentLength"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "1, 1"}, 411, "MissingContentLength"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "0x1"}, 411, "MissingContentLength"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "9223372036854775808"}, 411, "MissingContentLength"},
		{awschunked.Header{ContentSHA256: "STREAMING-AWS4-HMAC-SHA256-EVENTS", DecodedLength: "1"}, 400, "InvalidArgument"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "1", Trailer: "x-amz-checksum-md5"}, 400, "InvalidRequest"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "1", Trailer: "x-amz-content-sha256"}, 400, "InvalidRequest"},
		{awschunked.Header{ContentSHA256: plain, DecodedLength: "1", Trailer: crc32Name + "," + crc32Name}, 400, "InvalidRequest"},
		{awschunked.Header{ContentSHA256: signed, DecodedLength: "1", Trailer: crc32Name}, 400, "InvalidRequest"},
		{awschunked.Header{ContentSHA256: ecdsa, DecodedLength: "1", Trailer: crc32Name}, 400, "InvalidRequest"},
	} {
		_, err := awschunked.Parse(tt.header)
		var e *coserr.Error
		if !errors.As(err, &e) || e.Status != tt.status || e.Code != tt.code {
			t.Errorf("%+v: %v, want %d %s", tt.header, err, tt.status, tt.code)
		}
	}
}

// An error of the connection is returned unchanged, including a wrapped io.EOF, and without
// the last bytes.
func TestReader_Failures(t *testing.T) {
	failure := fmt.Errorf("broken: %w", io.EOF)
	body := encode(signedTrailer, "123456789", crc32Trailer("123456789"), 4)
	for at := range len(body) + 1 {
		for _, split := range splits {
			raw := io.MultiReader(strings.NewReader(body[:at]), iotest.ErrReader(failure))
			got, err := decode(split(raw), header(signedTrailer, "123456789", crc32Name), 5)
			if err != failure || len(got) == 9 { //nolint:errorlint // the very error is wanted
				t.Fatalf("at %d: %q, %v", at, got, err)
			}
		}
	}
}

// One read returns the data of all chunks that fit into the caller's buffer, after one that
// returns what was read ahead to find the first header.
func TestReader_LargeReads(t *testing.T) {
	data := strings.Repeat("0123456789abcdef", 16<<10)
	r, err := newReader(strings.NewReader(encode(plain, data, "", 64<<10, 64<<10, 64<<10)), header(plain, data, ""))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 512<<10)
	first, err := r.Read(p)
	if err != nil || first > 4<<10 {
		t.Errorf("first read: %d, %v", first, err)
	}
	if second, err := r.Read(p); err != nil || second < 250<<10 {
		t.Errorf("second read: %d, %v", second, err)
	}
}

func TestReader_Allocations(t *testing.T) {
	data := strings.Repeat("a", 1<<20)
	sizes := make([]int, 1000)
	for i := range sizes {
		sizes[i] = 1000
	}
	body := encode(signed, data, "", sizes...)
	r, err := newReader(strings.NewReader(body), header(signed, data, ""), digest.New(crc32Name))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10_000)
	if n := testing.AllocsPerRun(900, func() { _, _ = r.Read(p) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkReader compares decoding of 1 MiB, including its CRC-32, with copying it and the
// CRC-32. Both read from memory, so the copy is part of the time.
func BenchmarkReader(b *testing.B) {
	data := strings.Repeat("0123456789abcdef", 64<<10)
	p := make([]byte, 64<<10)
	run := func(name string, open func() io.Reader) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{open()}, p)
				if err != nil || n != int64(len(data)) {
					b.Fatal(n, err)
				}
			}
		})
	}
	whole := []byte(data)
	run("copy", func() io.Reader { return io.TeeReader(bytes.NewReader(whole), crc32.NewIEEE()) })
	for _, size := range []int{8 << 10, 64 << 10, 1 << 20} {
		for _, sha256 := range []string{plain, signedTrailer} {
			var sizes []int
			for range len(data) / size {
				sizes = append(sizes, size)
			}
			body := []byte(encode(sha256, data, crc32Trailer(data), sizes...))
			run(fmt.Sprintf("%s/%dKiB", sha256, size>>10), func() io.Reader {
				r, err := newReader(bytes.NewReader(body), header(sha256, data, crc32Name))
				if err != nil {
					b.Fatal(err)
				}
				return r
			})
		}
	}
}
