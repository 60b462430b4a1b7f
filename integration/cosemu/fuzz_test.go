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

// FuzzSignature signs arbitrary requests with the official SDK: the emulator
// must find the signature right, and wrong once the path has one byte more.
func FuzzSignature(f *testing.F) {
	f.Add("GET", "dir/a b+c%2F", "prefix", "a b+c/中", "v 1")
	f.Add("PUT", "/lead//x/../y", "X/Y Z", "", "a,b;c=d")
	f.Add("DELETE", "", "uploadId", "~*'()!&=?", "")
	f.Add("GET", "a", "", "acl", "") // a parameter without a name
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
		r.Header.Del("Host") // the SDK leaves it there, net/http does not send it
		if a := do(t, client, r); a.status == http.StatusForbidden {
			t.Errorf("%s %q %q refused\n%s", method, r.URL.RequestURI(), meta, a.body)
		}
		r.URL.Path, r.URL.RawPath = r.URL.Path+"x", r.URL.RawPath+"x"
		if a := do(t, client, r); a.status != http.StatusForbidden {
			t.Errorf("%s %q taken with another's signature: %d", method, r.URL.RequestURI(), a.status)
		}
	})
}

// FuzzPolicy evaluates arbitrary policies: whatever they say, nothing breaks,
// and a policy without a statement that names the bucket opens nothing.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"version":"2.0","statement":[{"effect":"allow","action":["name/cos:Get*"],"resource":["` + resource(bucket1+"/*") + `"],"condition":{"string_like":{"cos:prefix":"a*"}}}]}`)
	f.Add(`{"version":"2.0","statement":[{"effect":"deny","action":"*","resource":"*","condition":{"numeric_equal":{"cos:max-keys":[1,2]}}}]}`)
	srv := start(f, cosemu.Options{})
	client := httpClient(f, srv)
	key := clientCredentials{id: "AKIDfuzz", secretKey: "secret"}
	f.Fuzz(func(t *testing.T, policy string) {
		if policy == "" || srv.AddCredentials(cosemu.Credentials{SecretID: key.id, SecretKey: key.secretKey, Policy: policy}) != nil {
			return
		}
		a := do(t, client, request(t, key, http.MethodGet, "/?prefix=a&max-keys=1", nil))
		if a.status != http.StatusForbidden && !strings.Contains(policy, "*") && !strings.Contains(policy, bucket1) && !strings.Contains(policy, `\u`) {
			t.Errorf("%s opens the bucket: %d", policy, a.status)
		}
	})
}

// FuzzCredentialsServer asks for arbitrary keys: whatever the words, a key for uploads
// to one bucket opens neither another bucket nor the keys beside the prefix.
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
		_, key := a.decodeServerResponse(t)
		if a := do(t, objects, request(t, key, http.MethodPut, "/up/a", nil)); a.code() != "AccessDenied" {
			t.Errorf("opens another bucket: %+v", a)
		}
		beside := request(t, key, http.MethodPut, "/down", nil)
		beside.Host = strings.Replace(host1, bucket1, bucket2, 1)
		beside.Header.Del("Authorization")
		cos.AddAuthorizationHeader(key.id, key.secretKey, key.token, beside, cos.NewAuthTime(time.Hour))
		if a := do(t, objects, beside); a.code() != "AccessDenied" {
			t.Errorf("opens keys beside its prefix: %+v", a)
		}
	})
}
