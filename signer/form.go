package signer

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// FormField is a field of a POST Object form other than the file.
type FormField struct{ Name, Value string }

// SignForm returns the form fields that sign a POST Object request. Send them before the file.
// Their policy has these conditions: each names a form field and its exact value, or the
// bucket, for which there is no field. So the signature is valid for any file, but only for
// these values. The window is that of Sign, and the policy expires with it.
//
// A form upload has no Authorization and no x-cos-security-token header, and no other part of
// the request is signed. On error (ErrMissingSecretID, ErrMissingSecretKey, ErrExpired,
// ErrRequest) SignForm returns no fields.
func (s *Signer) SignForm(conditions []FormField, creds Credentials, now time.Time) ([]FormField, error) {
	if err := check(creds, now); err != nil {
		return nil, err
	}
	for _, c := range conditions {
		if !utf8.ValidString(c.Name) || !utf8.ValidString(c.Value) {
			return nil, fmt.Errorf("%w: its form field %q is not UTF-8, which a policy requires; send it in UTF-8", ErrRequest, c.Name)
		}
	}
	w := windowAt(now, creds.Expires)
	key := s.keys.get(signKeyID{creds.SecretID, creds.SecretKey, w}, newSignKey)
	policy := formPolicy(conditions, creds.SecretID, w)
	fields := []FormField{
		{"policy", base64.StdEncoding.EncodeToString(policy)},
		{"q-sign-algorithm", "sha1"},
		{"q-ak", creds.SecretID},
		{"q-key-time", key.keyTime},
		{"q-signature", key.formSignature(policy)},
	}
	if creds.Token != "" {
		fields = append(fields, FormField{"x-cos-security-token", creds.Token})
	}
	return fields, nil
}

// formPolicy returns the text of the policy. All conditions are equalities. COS requires the
// last three.
func formPolicy(conditions []FormField, secretID string, w window) []byte {
	doc := struct {
		Expiration string `json:"expiration"`
		Conditions []any  `json:"conditions"`
	}{Expiration: time.Unix(w.end, 0).UTC().Format("2006-01-02T15:04:05.000Z")}
	for _, c := range conditions {
		doc.Conditions = append(doc.Conditions, [3]string{"eq", "$" + c.Name, c.Value})
	}
	doc.Conditions = append(doc.Conditions,
		map[string]string{"q-sign-algorithm": "sha1"},
		map[string]string{"q-ak": secretID},
		map[string]string{"q-sign-time": w.keyTime()})
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // only required escapes, in case the parser of COS is limited
	_ = encoder.Encode(doc)      // strings only: it cannot fail
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// formSignature signs the exact bytes of a policy. StringToSign is only their SHA-1, without
// the other lines of a request's StringToSign.
func (k *signKey) formSignature(policy []byte) string {
	digest := sha1.Sum(policy)
	return string(k.appendSignature(nil, hex.AppendEncode(nil, digest[:])))
}
