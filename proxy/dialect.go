package proxy

import (
	"net/http"
	"strings"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
	"cosproxy/proxy/internal/s3req"
	"cosproxy/signer"
)

// dialect is the API that a request uses: that of COS, or that of S3, which COS supports
// for requests with an AWS signature. The response has the dialect of its request.
type dialect uint8

const (
	dialectCOS dialect = iota
	dialectS3
)

// parseScheme sets the dialect of a request that the client has signed. The signature is
// removed, not verified: clients sign with dummy keys.
func (r *request) parseScheme() error {
	scheme, mixed := signer.NoSignature, false
	for _, f := range r.head.Fields {
		if !http1.EqualFold(f.Name, "Authorization") {
			continue
		}
		switch s := signer.SchemeOf(f.Value, ""); {
		case s == signer.NoSignature: // such as a client token
		case scheme == signer.NoSignature:
			scheme = s
		default:
			mixed = mixed || s != scheme
		}
	}
	if scheme == signer.NoSignature {
		scheme = signer.SchemeOf(nil, r.target.RawQuery)
	}
	mixed = mixed || signer.HasOtherScheme(r.target.RawQuery, scheme)
	r.signed = scheme != signer.NoSignature
	if scheme.IsS3() || !r.signed && r.precedesS3() {
		r.dialect = dialectS3
	}
	if mixed {
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The request has signatures of different kinds in its Authorization headers or its query. Send one of them.")
	}
	return nil
}

// precedesS3 reports whether the request is the CORS preflight of one with header fields of
// an AWS signature. A preflight has none itself.
func (r *request) precedesS3() bool {
	if r.method != http.MethodOptions {
		return false
	}
	for name := range r.head.Elements("Access-Control-Request-Headers") {
		if http1.HasPrefixFold(name, s3req.Prefix) {
			return true
		}
	}
	return false
}

// applyDialect applies the rules of the dialect.
func (r *request) applyDialect() error {
	if err := r.checkDialect(); err != nil || r.dialect == dialectCOS {
		return err
	}
	return r.parseS3()
}

// maxEarly is how far X-Amz-Date may be in the future: the difference of clocks that S3
// accepts (Amazon S3 API Reference, "Error responses", RequestTimeTooSkewed).
const maxEarly = 15 * time.Minute

// checkExpiry rejects a presigned URL of S3 outside its time. Its signature is not verified,
// but the client that made it has limited its use.
func (r *request) checkExpiry(now time.Time) error {
	if r.dialect != dialectS3 || r.target.RawQuery == "" {
		return nil
	}
	from, until, err := signer.PresignedValidity(r.target.RawQuery)
	switch {
	case err != nil:
		return coserr.New(http.StatusBadRequest, "AuthorizationQueryParametersError", "%s.", strings.Replace(err.Error(), "signer: the", "The", 1))
	case until.IsZero():
		return nil
	case now.Before(from.Add(-maxEarly)):
		return coserr.New(http.StatusForbidden, "AccessDenied", "Request is not valid yet: X-Amz-Date of the presigned URL is %s. Correct the clock of the client that made it.", from.Format(time.RFC3339))
	case !now.Before(until):
		return coserr.New(http.StatusForbidden, "AccessDenied", "Request has expired: the presigned URL was valid until %s. Make a new one.", until.Format(time.RFC3339))
	}
	return nil
}

// responseFields are header fields of COS that have a meaning in responses only. s3cmd sends
// those of a HEAD back when it modifies an object.
var responseFields = newFieldSet(
	"x-cos-delete-marker", "x-cos-hash-crc64ecma", "x-cos-object-type", "x-cos-request-id",
	"x-cos-tagging-count", "x-cos-trace-id", "x-cos-version-id",
)

// checkDialect rejects header fields of the other dialect. COS gives them no meaning, so
// it would store an object without its metadata, ACL or storage class.
func (r *request) checkDialect() error {
	for _, f := range r.head.Fields {
		switch {
		case !http1.HasPrefixFold(f.Name, "x-") && !http1.HasPrefixFold(f.Name, "pic-"): // most fields
		case r.dialect == dialectS3 && responseFields.has(f.Name): // not sent to COS
		case r.dialect == dialectS3 && (http1.HasPrefixFold(f.Name, "x-cos-") || http1.HasPrefixFold(f.Name, "x-ci-")),
			r.dialect == dialectS3 && http1.EqualFold(f.Name, picOperationsField):
			return r.cosFieldError(f.Name)
		case r.dialect == dialectCOS && http1.HasPrefixFold(f.Name, s3req.Prefix) && s3req.FieldUse(f.Name) != s3req.Ignore && !isSignatureOfS3(f):
			return coserr.New(http.StatusBadRequest, "InvalidRequest",
				"COS ignores the S3 header %s in a request without an AWS signature. Send its equal with x-cos-, sign with a dummy AWS key,", coserr.Truncate(string(f.Name))).
				Try("or choose S3 with", Setting{Name: "Route.Dialect"})
		}
	}
	if r.dialect == dialectS3 {
		return nil
	}
	for _, p := range r.query.Params {
		if isFieldOfS3(p.Key) && s3req.FieldUse([]byte(p.Key)) != s3req.Ignore {
			return coserr.New(http.StatusBadRequest, "InvalidRequest",
				"COS ignores the S3 parameter %s in a request without an AWS signature. Remove it, sign with a dummy AWS key,", coserr.Truncate(p.Key)).
				Try("or choose S3 with", Setting{Name: "Route.Dialect"})
		}
	}
	if r.hasChunkedCoding() {
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"COS would store a body with Content-Encoding aws-chunked together with its chunk headers. Turn off this coding in the client, sign with a dummy AWS key,").
			Try("or choose S3 with", Setting{Name: "Route.Dialect"})
	}
	if r.method != http.MethodOptions && r.query.Has("list-type") {
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"COS ignores list-type, a parameter of S3, in a request without an AWS signature: the list would end after its first page. Page with marker, sign with a dummy AWS key,").
			Try("or choose S3 with", Setting{Name: "Route.Dialect"})
	}
	return nil
}

// cosFieldError rejects a header field of COS in an S3 request.
func (r *request) cosFieldError(name []byte) error {
	shown := coserr.Truncate(string(name))
	if r.signed {
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The request has an AWS signature and the COS header %s. Remove the header, or send the request without the AWS signature.", shown)
	}
	return coserr.New(http.StatusBadRequest, "InvalidRequest",
		"The request has the COS header %s, but requests without a signature are S3 requests here. Remove the header,", shown).
		Try("or change", Setting{Name: "Route.Dialect"})
}

// isSignatureOfS3 reports whether a field is a remnant of an AWS signature that has no
// other effect: clients that sign in COS's dialect may leave it in the request.
func isSignatureOfS3(f http1.Field) bool {
	if http1.EqualFold(f.Name, s3req.ContentSHA256) {
		return !strings.HasPrefix(string(f.Value), "STREAMING-")
	}
	return http1.EqualFold(f.Name, "x-amz-date") || http1.EqualFold(f.Name, "x-amz-security-token")
}

// parseS3 applies the rules of S3 to a request. Presigned URLs may have header fields as
// parameters; parseS3 makes them header fields.
func (r *request) parseS3() error {
	if r.method == http.MethodOptions { // a preflight has the URL of the request that follows
		r.query = r.query.Without(r.fieldParams())
		return nil
	}
	if err := r.hoistFields(); err != nil {
		return err
	}
	r.removeV2Expiry()
	if err := r.parseCoding(); err != nil {
		return err
	}
	r.removeFirstPart()
	for _, f := range r.head.Fields {
		switch {
		case http1.HasPrefixFold(f.Name, s3req.Prefix):
			if s3req.FieldUse(f.Name) == s3req.Missing {
				return s3req.MissingFieldError(string(f.Name))
			}
			if err := s3req.CheckValue(f.Name, f.Value); err != nil {
				return err
			}
		case !r.readsOnly() && conditions.has(f.Name):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"COS does not document %s for S3 requests that write, and may ignore it. Remove the header.", f.Name)
		}
	}
	return nil
}

// removeV2Expiry removes the Expires of a URL with a signature of Version 2. The other
// parameters of a signature have names that mean nothing else.
func (r *request) removeV2Expiry() {
	if r.query.Has("Expires") && signer.SchemeOf(nil, r.target.RawQuery) == signer.AWSSignatureV2 {
		r.query = r.query.Without([]string{"Expires"})
	}
}

// removeFirstPart removes partNumber=1 from reads of objects. COS does not document reading
// a part of an object. Without the number of parts in the response, clients take the object
// for one of a single part, whose part 1 is the object. Further parts are an error.
func (r *request) removeFirstPart() {
	if !r.readsOnly() || r.query.Get("partNumber") != "1" || r.query.Has("uploadId") {
		return
	}
	if without := r.query.Without([]string{"partNumber"}); len(without.Params) == len(r.query.Params)-1 {
		r.query = without
	}
}

// verifiesBody reports whether a parameter of a presigned URL is a checksum of the body, or
// says which one the client uses.
func verifiesBody(name string) bool {
	return digest.New(name) != nil || strings.HasSuffix(name, "-algorithm") || name == "x-amz-checksum-type"
}

// isOfEmptyBody reports whether a parameter says nothing of the body: SDKs that presign a
// URL add the checksum of the empty body, since they do not have the real one.
func isOfEmptyBody(name, value string) bool {
	sum := digest.New(name)
	if sum == nil || value == signer.UnsignedPayload {
		return true
	}
	return name != s3req.ContentSHA256 && sum.Expect(value) == nil && sum.Check() == nil
}

// isFieldOfS3 reports whether a parameter has the name of a header field of S3.
func isFieldOfS3(name string) bool {
	return len(name) >= len(s3req.Prefix) && strings.EqualFold(name[:len(s3req.Prefix)], s3req.Prefix)
}

// fieldParams returns the names of the parameters that stand for header fields.
func (r *request) fieldParams() (names []string) {
	for _, p := range r.query.Params {
		if isFieldOfS3(p.Key) {
			names = append(names, p.Key)
		}
	}
	return names
}

// hoistFields moves parameters that stand for header fields into the header (AWS document
// "Authenticating requests: using query parameters").
func (r *request) hoistFields() error {
	for _, p := range r.query.Params {
		if !isFieldOfS3(p.Key) {
			continue
		}
		name := []byte(strings.ToLower(p.Key))
		switch use := s3req.FieldUse(name); {
		case use == s3req.Missing:
			return s3req.MissingFieldError(p.Key)
		case use == s3req.Consume && !verifiesBody(string(name)):
			return coserr.New(http.StatusBadRequest, "InvalidRequest", "The parameter %s describes the body, which a URL cannot. Send it as a header.", string(name))
		case use == s3req.Ignore, use == s3req.Consume && isOfEmptyBody(string(name), p.Value):
			continue
		case r.has(string(name)):
			return coserr.New(http.StatusBadRequest, "InvalidRequest", "The request has %s as a header and as a parameter. Send it once.", string(name))
		}
		r.head.Fields = append(r.head.Fields, http1.Field{Name: name, Value: []byte(p.Value)})
	}
	if moved := r.fieldParams(); moved != nil {
		r.query = r.query.Without(moved)
	}
	return nil
}

// isCopy reports whether the request copies an object.
func (r *request) isCopy() bool { return r.has(r.copySourceField()) }

// copySourceField returns the name of the header field with the source of a copy.
func (r *request) copySourceField() string {
	if r.dialect == dialectS3 {
		return s3req.CopySource
	}
	return copySourceField
}
