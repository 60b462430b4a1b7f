package proxy_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/signer"
)

// isForm reports whether the request is a form upload, which has its signature in the
// body.
func (a *arrival) isForm() bool { return a.Method == http.MethodPost && a.target() == "/" }

// arrivedForm is a form as parsed by net/http.
type arrivedForm struct {
	names          []string // of the fields, in order
	values         map[string]string
	filename       string
	fileType       string
	content        string
	rawFileAndTail string
}

func (a *arrival) parseForm() (arrivedForm, error) {
	f := arrivedForm{values: map[string]string{}}
	_, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return f, err
	}
	parts := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return f, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return f, err
		}
		if part.FormName() == "file" {
			_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
			f.filename, f.fileType, f.content = disposition["filename"], part.Header.Get("Content-Type"), string(content)
			i := bytes.Index(a.body, []byte(`name="file"`))
			_, f.rawFileAndTail, _ = strings.Cut(string(a.body[i:]), "\r\n\r\n")
			return f, err
		}
		f.names = append(f.names, part.FormName())
		f.values[part.FormName()] = string(content)
	}
}

var signedFields = []string{"policy", "q-sign-algorithm", "q-ak", "q-key-time", "q-signature", "x-cos-security-token"}

// verifyForm verifies the signature, and that the policy has every field of the client.
func (u *upstream) verifyForm(a *arrival) {
	u.t.Helper()
	h := a.wire()
	if h["Authorization"] != nil || h["X-Cos-Security-Token"] != nil || h["Expect"] != nil || h["Cookie"] != nil {
		u.t.Errorf("a form has headers that it must not have:\n%s", a.head)
	}
	f, err := a.parseForm()
	if err != nil {
		u.t.Errorf("the form cannot be read: %v\n%.2000q", err, a.body)
		return
	}
	if err := f.check(u.creds.list, bucket, time.Now()); err != nil {
		u.t.Errorf("%v\n%.2000q", err, a.body)
	}
}

func (f arrivedForm) check(keys []signer.Credentials, bucket string, now time.Time) error {
	if f.values["x-amz-signature"] != "" {
		return f.checkS3(keys, bucket, now)
	}
	if len(f.names) < len(signedFields) || !slices.Equal(f.names[:len(signedFields)], signedFields) {
		return fmt.Errorf("the form begins with the fields %q", f.names)
	}
	fields := f.names[len(signedFields):]
	for _, name := range fields {
		lower := strings.ToLower(name)
		if slices.Contains(signedFields, lower) || strings.HasPrefix(lower, "q-") || lower == "signature" || lower == "authorization" {
			return fmt.Errorf("the client's field %s came through", name)
		}
	}
	i := slices.IndexFunc(keys, func(c signer.Credentials) bool { return c.SecretID == f.values["q-ak"] })
	if i < 0 || f.values["x-cos-security-token"] != keys[i].Token {
		return fmt.Errorf("the form has SecretId %q, which is unknown or has another token", f.values["q-ak"])
	}
	policy, err := base64.StdEncoding.DecodeString(f.values["policy"])
	if err != nil {
		return err
	}
	digest := sha1.Sum(policy)
	if want := mac(mac(keys[i].SecretKey, f.values["q-key-time"]), hex.EncodeToString(digest[:])); f.values["q-signature"] != want {
		return fmt.Errorf("signature %s, want %s", f.values["q-signature"], want)
	}
	return f.checkPolicy(policy, fields, bucket, now)
}

func (f arrivedForm) checkPolicy(policy []byte, fields []string, bucket string, now time.Time) error {
	var doc struct {
		Expiration time.Time
		Conditions []json.RawMessage
	}
	if err := json.Unmarshal(policy, &doc); err != nil {
		return err
	}
	if left := doc.Expiration.Sub(now); left <= 0 || left > time.Hour {
		return fmt.Errorf("the policy has %v to go", left)
	}
	want := []string{fmt.Sprint([]string{"eq", "$bucket", bucket})}
	for _, name := range fields {
		want = append(want, fmt.Sprint([]string{"eq", "$" + name, f.values[name]}))
	}
	want = append(want, fmt.Sprint(map[string]string{"q-sign-algorithm": "sha1"}),
		fmt.Sprint(map[string]string{"q-ak": f.values["q-ak"]}), fmt.Sprint(map[string]string{"q-sign-time": f.values["q-key-time"]}))
	var got []string
	for _, c := range doc.Conditions {
		var list []string
		pair := map[string]string{}
		if json.Unmarshal(c, &list) == nil {
			got = append(got, fmt.Sprint(list))
		} else if json.Unmarshal(c, &pair) == nil {
			got = append(got, fmt.Sprint(pair))
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("conditions\n%q\nwant\n%q", got, want)
	}
	return nil
}

func mac(key, text string) string {
	m := hmac.New(sha1.New, []byte(key))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// form returns the only form that has arrived.
func (r *rig) form(t testing.TB) arrivedForm {
	t.Helper()
	f, err := r.upstream.only(t).parseForm()
	if err != nil {
		t.Fatal(err)
	}
	return f
}
