package cosemu

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// unsignedPayload is the value of x-amz-content-sha256 that does not cover the body.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// authenticateS3 verifies the AWS signature and the session token of x, from the raw
// request alone. Then it translates the headers of x.
func (x *exchange) authenticateS3() error {
	if err := x.rejectCOSNames(); err != nil {
		return err
	}
	sig, err := parseV4(x.r, x.query)
	if err != nil {
		return err
	}
	x.secretID = sig.secretID
	creds := x.s.credentials.get(sig.secretID)
	if creds == nil {
		return unknownSecretID()
	}
	if err := sig.checkScope(x.s.options.Region); err != nil {
		return err
	}
	if err := sig.checkTime(x.now); err != nil {
		return err
	}
	if err := x.checkV4Signature(sig, creds.SecretKey); err != nil {
		return err
	}
	if err := creds.checkS3Token(sig.token, x); err != nil {
		return err
	}
	if err := sig.checkSigned(x.r.Header); err != nil {
		return err
	}
	if err := x.checkPayload(sig.payload); err != nil {
		return err
	}
	x.rights = creds.rights
	return x.translateS3()
}

// rejectCOSNames fails on names of COS's own dialect: if the emulator ignored them, a
// client that mixes the dialects would not notice.
func (x *exchange) rejectCOSNames() error {
	for name := range x.r.Header {
		if strings.HasPrefix(name, "X-Cos-") {
			return invalidArgument("%s has no meaning in a request with an AWS signature", strings.ToLower(name))
		}
	}
	for _, p := range x.query {
		if strings.HasPrefix(strings.ToLower(p.name), "x-cos-") {
			return invalidArgument("the parameter %s has no meaning in a request with an AWS signature", p.name)
		}
	}
	return nil
}

func (x *exchange) checkV4Signature(sig v4Signature, secretKey string) error {
	canonical, err := sig.canonicalRequest(x.r, x.path, x.query)
	if err != nil {
		return err
	}
	toSign := sig.stringToSign(canonical)
	if subtle.ConstantTimeCompare([]byte(v4Sign(secretKey, sig.scope, toSign)), []byte(sig.signature)) != 1 {
		e := v4Mismatch("The request signature we calculated does not match the signature you provided. Check your key and signing method.")
		e.stringToSign, e.canonicalRequest = toSign, canonical
		return e
	}
	return nil
}

// checkS3Token compares the session token with that of the credentials, and checks
// that these have not expired.
func (c *Credentials) checkS3Token(token string, x *exchange) error {
	if subtle.ConstantTimeCompare([]byte(token), []byte(c.Token)) != 1 {
		return cosErrorf(http.StatusBadRequest, "InvalidToken", "x-amz-security-token is not the one that was issued with this SecretId")
	}
	if c.expired(x.now) {
		return expiredToken()
	}
	return nil
}

// checkSigned requires a signature on every x-amz-* header, Content-Type and
// Content-MD5. Host is always signed.
func (sig v4Signature) checkSigned(h http.Header) error {
	signed := strings.Split(sig.signedHeaders, ";")
	for _, name := range slices.Sorted(maps.Keys(h)) {
		lower := strings.ToLower(name)
		covered := lower == "content-type" || lower == "content-md5" || strings.HasPrefix(lower, "x-amz-")
		if covered && !slices.Contains(signed, lower) {
			return accessDenied("There were headers present in the request which were not signed: %s", lower)
		}
	}
	return nil
}

// checkPayload checks the value of x-amz-content-sha256. Bodies in chunks with
// signatures or checksums of their own are refused, since COS does not decode them
// (milvus-io/milvus#49977, multica-ai/multica#6261; no report has the exact message of
// COS).
func (x *exchange) checkPayload(value string) error {
	h := x.r.Header
	chunked := slices.ContainsFunc(h["Content-Encoding"], func(v string) bool { return strings.Contains(strings.ToLower(v), "aws-chunked") })
	switch digest, err := hex.DecodeString(value); {
	case strings.HasPrefix(value, "STREAMING-"):
		return chunkedEncoding(value)
	case chunked:
		return chunkedEncoding("Content-Encoding aws-chunked")
	case h["X-Amz-Trailer"] != nil || h["X-Amz-Decoded-Content-Length"] != nil:
		return chunkedEncoding("x-amz-trailer or x-amz-decoded-content-length")
	case value == unsignedPayload:
		return nil
	case err != nil || len(digest) != sha256.Size || strings.ToLower(value) != value:
		return invalidArgument("x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.")
	}
	x.payload = value
	return nil
}

func chunkedEncoding(what string) *cosError {
	return cosErrorf(http.StatusBadRequest, "NotImplemented", "Aws MultiChunkedEncoding %s is not supported.", what)
}

// verifyPayload makes the body of x fail unless it has the signed hash. Uploads are
// hashed while they are stored, other bodies before the request is executed.
func (x *exchange) verifyPayload() error {
	if x.payload == "" {
		return nil
	}
	upload := x.action == "PutObject" || x.action == "UploadPart" || x.action == "AppendObject"
	if upload && x.r.Header["X-Cos-Copy-Source"] == nil {
		x.r.Body = &hashedBody{ReadCloser: x.r.Body, sum: sha256.New(), want: x.payload}
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxXMLBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return malformedXML()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return incompleteBody()
	case err != nil:
		return err
	case hexSHA256(string(body)) != x.payload:
		return payloadMismatch()
	}
	x.r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// hashedBody is a body that ends with an error unless it has the wanted SHA-256.
type hashedBody struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

// Read implements io.Reader.
func (b *hashedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(b.sum.Sum(nil)) != b.want {
		err = payloadMismatch()
	}
	return n, err
}

func payloadMismatch() *cosError {
	return cosErrorf(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
}
