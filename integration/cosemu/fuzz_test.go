package cosemu_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// FuzzSignature signs arbitrary requests with the official SDK. The emulator must
// accept the signature, and reject it after one byte was added to the path.
func FuzzSignature(f *testing.F) {
	f.Add("GET", "dir/a b+c%2F", "prefix", "a b+c/中", "v 1")
	f.Add("PUT", "/lead//x/../y", "X/Y Z", "", "a,b;c=d")
	f.Add("DELETE", "", "uploadId", "~*'()!&=?", "")
	f.Add("GET", "a", "", "acl", "") // parameter without a name
	srv := start(f, cosemu.Options{})
	client := httpClient(f, srv)
	f.Fuzz(func(t *testing.T, method, key, name, value, meta string) {
		if method != http.MethodGet && method != http.MethodPut && method != http.MethodDelete {
			method = http.MethodHead
		}
		if strings.ContainsFunc(meta, unicode.IsControl) || !utf8.ValidString(meta) {
			meta = "meta"
		}
		r := &http.Request{
			Method: method, Host: host1, Header: http.Header{"X-Cos-Meta-A": {strings.TrimSpace(meta)}},
			URL: &url.URL{Scheme: "http", Host: host1, Path: "/" + key, RawQuery: url.Values{name: {value}}.Encode()},
		}
		r.URL.RawPath = strings.ReplaceAll(r.URL.EscapedPath(), "+", "%2B") // as every SDK sends it
		cos.AddAuthorizationHeader(srv.SecretID(), srv.SecretKey(), "", r, cos.NewAuthTime(time.Hour))
		r.Header.Del("Host") // the SDK keeps it, net/http does not send it
		if a := do(t, client, r); a.status == http.StatusForbidden {
			t.Errorf("%s %q %q rejected\n%s", method, r.URL.RequestURI(), meta, a.body)
		}
		r.URL.Path, r.URL.RawPath = r.URL.Path+"x", r.URL.RawPath+"x"
		if a := do(t, client, r); a.status != http.StatusForbidden {
			t.Errorf("%s %q accepted with another signature: %d", method, r.URL.RequestURI(), a.status)
		}
	})
}

// FuzzPolicy evaluates arbitrary policies. None may cause a panic, and a policy
// without a statement for the bucket must not allow access to it.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"version":"2.0","statement":[{"effect":"allow","action":["name/cos:Get*"],"resource":["` + resource(bucket1+"/*") + `"],"condition":{"string_like":{"cos:prefix":"a*"}}}]}`)
	f.Add(`{"version":"2.0","statement":[{"effect":"deny","action":"*","resource":"*","condition":{"numeric_equal":{"cos:max-keys":[1,2]}}}]}`)
	srv := start(f, cosemu.Options{})
	client := httpClient(f, srv)
	creds := clientCredentials{id: "AKIDfuzz", secretKey: "secret"}
	f.Fuzz(func(t *testing.T, policy string) {
		if policy == "" || srv.AddCredentials(cosemu.Credentials{SecretID: creds.id, SecretKey: creds.secretKey, Policy: policy}) != nil {
			return
		}
		a := do(t, client, request(t, creds, http.MethodGet, "/?prefix=a&max-keys=1", nil))
		if a.status != http.StatusForbidden && !strings.Contains(policy, "*") && !strings.Contains(policy, bucket1) && !strings.Contains(policy, `\u`) {
			t.Errorf("%s opens the bucket: %d", policy, a.status)
		}
	})
}

// FuzzCredentialsServer requests credentials for arbitrary scopes. Credentials for
// uploads to one bucket must not allow access to another bucket or outside the prefix.
func FuzzCredentialsServer(f *testing.F) {
	f.Add("up/*", "name/cos:PutObject")
	f.Add("*", "name/cos:*")
	f.Add("a:b/../", "name/cos:Put*")
	f.Add("*/*", "*")
	srv := start(f, cosemu.Options{})
	transport := &http.Transport{}
	f.Cleanup(transport.CloseIdleConnections)
	keys, objects := &http.Client{Transport: transport}, httpClient(f, srv)
	f.Fuzz(func(t *testing.T, prefix, action string) {
		query := url.Values{"bucket": {bucket2}, "prefix": {"up/" + prefix}, "action": {action}}.Encode()
		r, err := http.NewRequest(http.MethodGet, srv.CredentialsServerURL()+"?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := do(t, keys, r)
		if a.status != http.StatusOK {
			return
		}
		_, creds := a.decodeServerResponse(t)
		if a := do(t, objects, request(t, creds, http.MethodPut, "/up/a", nil)); a.code() != "AccessDenied" {
			t.Errorf("allows another bucket: %+v", a)
		}
		outside := request(t, creds, http.MethodPut, "/down", nil)
		outside.Host = strings.Replace(host1, bucket1, bucket2, 1)
		outside.Header.Del("Authorization")
		cos.AddAuthorizationHeader(creds.id, creds.secretKey, creds.token, outside, cos.NewAuthTime(time.Hour))
		if a := do(t, objects, outside); a.code() != "AccessDenied" {
			t.Errorf("allows keys outside its prefix: %+v", a)
		}
	})
}
