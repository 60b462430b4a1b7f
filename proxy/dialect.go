package proxy

import (
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
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

// isCopy reports whether the request copies an object.
func (r *request) isCopy() bool { return r.has(r.copySourceField()) }

// copySourceField returns the name of the header field with the source of a copy.
func (r *request) copySourceField() string {
	if r.dialect == dialectS3 {
		return s3req.CopySource
	}
	return copySourceField
}
