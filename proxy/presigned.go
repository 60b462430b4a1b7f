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

// removeV2Expiry removes the Expires of a URL with a signature of Version 2. The other
// parameters of a signature have names that mean nothing else.
func (r *request) removeV2Expiry() {
	if r.query.Has("Expires") && signer.SchemeOf(nil, r.target.RawQuery) == signer.AWSSignatureV2 {
		r.query = r.query.Without([]string{"Expires"})
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
