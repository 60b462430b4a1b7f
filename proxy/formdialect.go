package proxy

import (
	"net/http"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/s3req"
	"cosproxy/signer"
)

// formDialect returns the dialect of a form. It is that of the signature in the form, which
// is removed and not verified; without one, it is that of the request.
func formDialect(req *request, fields []signer.FormField) (dialect, error) {
	var ofCOS, ofS3 bool
	for _, f := range fields {
		switch strings.ToLower(f.Name) {
		case "q-signature", "q-sign-algorithm":
			ofCOS = true
		case "x-amz-signature", "x-amz-algorithm", "awsaccesskeyid":
			ofS3 = true
		}
	}
	pathStyle := req.dialect == dialectS3 && req.target.RawPath != "/"
	switch {
	case ofCOS && ofS3:
		return req.dialect, coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The form has fields of an AWS signature and of a COS signature. Send those of one.")
	case ofS3 && req.signed && req.dialect == dialectCOS, ofCOS && req.signed && req.dialect == dialectS3:
		return req.dialect, coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The request and its form have signatures of different kinds. Send one of them.")
	case ofCOS && pathStyle:
		return req.dialect, coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The form has a COS signature, and its URL has the bucket in the path, which only S3 supports. Send the form to / or to the host of the bucket.")
	case ofS3:
		return dialectS3, nil
	case ofCOS:
		return dialectCOS, nil
	}
	return req.dialect, nil
}

// cosFields returns the fields without those of a signature. The client's policy does not
// apply, because COS requires one that is bound to the signature.
func cosFields(all []signer.FormField) (sent []signer.FormField) {
	for _, f := range all {
		if !isSignatureField(strings.ToLower(f.Name)) {
			sent = append(sent, f)
		}
	}
	return sent
}

// checkFormDialect rejects S3 fields in a form of COS, like request.checkDialect.
func checkFormDialect(fields []signer.FormField) error {
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if !strings.HasPrefix(name, s3req.Prefix) || s3req.FieldUse([]byte(name)) == s3req.Ignore {
			continue
		}
		return coserr.New(http.StatusBadRequest, "InvalidRequest",
			"COS ignores the S3 field %s in a form without an AWS signature. Send its equal with x-cos-, sign the form with a dummy AWS key,", coserr.Truncate(f.Name)).
			Try("or choose S3 with", Setting{Name: "Route.Dialect"})
	}
	return nil
}

// isSignatureField reports whether a field, in lower case, is part of a signature or names
// the bucket. cosproxy removes these: the client's signature does not apply, and the host
// names the bucket.
func isSignatureField(name string) bool {
	switch name {
	case "policy", "signature", "authorization", "x-cos-security-token", "x-ci-security-token", "bucket",
		// Fields of S3 forms.
		"awsaccesskeyid", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature", "x-amz-content-sha256":
		return true
	}
	return strings.HasPrefix(name, "q-")
}

func repeatedFieldError(name string) error {
	return coserr.New(http.StatusBadRequest, "InvalidArgument", "The form has the field %q twice. Send it once.", name)
}
