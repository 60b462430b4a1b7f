package signer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// S3Form is a form upload in the dialect of S3.
type S3Form struct {
	// Bucket is the bucket to which the form is sent. Required.
	Bucket string
	// Region is the region of the bucket, for example ap-guangzhou. Required.
	Region string
	// Fields are all fields of the form before its file, without those of the signature.
	Fields []FormField
	// Limit is the size of the file in bytes, if it is limited.
	Limit *SizeRange
}

// SizeRange is a range of sizes in bytes, both inclusive.
type SizeRange struct{ Min, Max int64 }

// SignForm returns the form fields that sign f with AWS Signature Version 4 ("Browser-based
// uploads using POST" in the Amazon S3 API Reference). Send them before the file. Their policy
// has the bucket, the exact value of each field, and the limit of the size as conditions. It
// expires with the window of Signer.Sign.
//
// now is the caller's clock, corrected for its offset to COS. On error (ErrMissingSecretID,
// ErrMissingSecretKey, ErrExpired, ErrRequest) SignForm returns no fields.
func (s *S3Signer) SignForm(f S3Form, creds Credentials, now time.Time) ([]FormField, error) {
	if err := check(creds, now); err != nil {
		return nil, err
	}
	if f.Bucket == "" || f.Region == "" {
		return nil, fmt.Errorf("%w: S3Form.Bucket or S3Form.Region is empty; set both", ErrRequest)
	}
	for _, field := range f.Fields {
		if !utf8.ValidString(field.Name) || !utf8.ValidString(field.Value) {
			return nil, fmt.Errorf("%w: its form field %q is not UTF-8, which a policy requires; send it in UTF-8", ErrRequest, field.Name)
		}
	}
	key := s.keys.get(s3KeyIDAt(creds, f.Region, now), newS3Key)
	signed := []FormField{
		{"x-amz-algorithm", "AWS4-HMAC-SHA256"},
		{"x-amz-credential", creds.SecretID + "/" + key.scope},
		{"x-amz-date", now.UTC().Format(amzDateFormat)},
	}
	if creds.Token != "" {
		signed = append(signed, FormField{"x-amz-security-token", creds.Token})
	}
	policy := s3FormPolicy(f, signed, windowAt(now, creds.Expires).end)
	return append(signed, FormField{"policy", string(policy)}, FormField{"x-amz-signature", key.formSignature(policy)}), nil
}

// formSignature signs a policy in base64, which is the complete StringToSign.
func (k *s3Key) formSignature(policy []byte) string {
	return string(k.appendSignature(nil, policy))
}

// s3FormPolicy returns the policy in base64. signed are the fields of the signature, and
// expiration is in Unix seconds.
func s3FormPolicy(f S3Form, signed []FormField, expiration int64) []byte {
	doc := struct {
		Expiration string `json:"expiration"`
		Conditions []any  `json:"conditions"`
	}{Expiration: time.Unix(expiration, 0).UTC().Format("2006-01-02T15:04:05.000Z")}
	doc.Conditions = append(doc.Conditions, map[string]string{"bucket": f.Bucket})
	for _, fields := range [][]FormField{f.Fields, signed} {
		for _, field := range fields {
			doc.Conditions = append(doc.Conditions, [3]string{"eq", "$" + field.Name, field.Value})
		}
	}
	if f.Limit != nil {
		doc.Conditions = append(doc.Conditions, [3]any{"content-length-range", f.Limit.Min, f.Limit.Max})
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // only required escapes, in case the parser of COS is limited
	_ = encoder.Encode(doc)      // strings and integers only: it cannot fail
	return base64.StdEncoding.AppendEncode(nil, bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}
