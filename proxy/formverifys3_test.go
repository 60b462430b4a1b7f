package proxy_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cosproxy/signer"
)

var s3SignedFields = []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "policy", "x-amz-signature"}

// checkS3 verifies the signature of an S3 form, and that its policy has exactly the fields
// of the form.
func (f arrivedForm) checkS3(keys []signer.Credentials, bucket string, now time.Time) error {
	if len(f.names) < len(s3SignedFields) || !slices.Equal(f.names[:len(s3SignedFields)], s3SignedFields) {
		return fmt.Errorf("the form begins with the fields %q", f.names)
	}
	id, scope, _ := strings.Cut(f.values["x-amz-credential"], "/")
	i := slices.IndexFunc(keys, func(c signer.Credentials) bool { return c.SecretID == id })
	if i < 0 || f.values["x-amz-security-token"] != keys[i].Token {
		return fmt.Errorf("the form has SecretId %q, which is unknown or has another token", id)
	}
	date, err := time.Parse("20060102T150405Z", f.values["x-amz-date"])
	if err != nil || now.Sub(date).Abs() > time.Minute || scope != f.values["x-amz-date"][:8]+"/"+region+"/s3/aws4_request" {
		return fmt.Errorf("signed at %s for %s", f.values["x-amz-date"], scope)
	}
	key := []byte("AWS4" + keys[i].SecretKey)
	for _, part := range append(strings.Split(scope, "/"), f.values["policy"]) {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	if want := hex.EncodeToString(key); f.values["x-amz-signature"] != want {
		return fmt.Errorf("signature %s, want %s", f.values["x-amz-signature"], want)
	}
	conditions, err := f.s3Conditions(now)
	if err != nil {
		return err
	}
	want := []string{fmt.Sprintf(`{"bucket":%q}`, bucket)}
	for _, name := range append(slices.Clone(f.names[len(s3SignedFields):]), s3SignedFields[:4]...) {
		var text strings.Builder
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		_ = e.Encode([]string{"eq", "$" + name, f.values[name]})
		want = append(want, strings.TrimSpace(text.String()))
	}
	if len(conditions) > len(want) && strings.HasPrefix(conditions[len(want)], `["content-length-range",`) {
		conditions = conditions[:len(want)]
	}
	if !slices.Equal(conditions, want) {
		return fmt.Errorf("conditions\n%q\nwant\n%q", conditions, want)
	}
	return nil
}

// s3Conditions returns the conditions of the policy as JSON.
func (f arrivedForm) s3Conditions(now time.Time) ([]string, error) {
	policy, err := base64.StdEncoding.DecodeString(f.values["policy"])
	if err != nil {
		return nil, err
	}
	var doc struct {
		Expiration time.Time
		Conditions []json.RawMessage
	}
	if err := json.Unmarshal(policy, &doc); err != nil {
		return nil, err
	}
	if left := doc.Expiration.Sub(now); left <= 0 || left > time.Hour {
		return nil, fmt.Errorf("the policy has %v to go", left)
	}
	var all []string
	for _, c := range doc.Conditions {
		all = append(all, string(c))
	}
	return all, nil
}
