package cosemu_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// TestPolicy_UploadsToOneBucket checks that credentials for uploads to one bucket
// allow neither uploads to another nor downloads.
func TestPolicy_UploadsToOneBucket(t *testing.T) {
	srv := start(t, cosemu.Options{})
	creds := issue(t, srv, policyOf(
		[]string{
			"name/cos:PutObject", "name/cos:InitiateMultipartUpload", "name/cos:UploadPart",
			"name/cos:CompleteMultipartUpload", "name/cos:ListParts", "name/cos:AbortMultipartUpload",
		},
		[]string{resource(bucket1 + "/*")},
	))
	own, other := sdk(t, srv, bucket1, creds), sdk(t, srv, bucket2, creds)
	put(t, own, "a", "mine")
	if _, err := other.Object.Put(t.Context(), "a", strings.NewReader("not mine"), nil); err == nil {
		t.Error("uploaded to the other bucket")
	} else {
		wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	}
	if _, ok := srv.Object(bucket2, "a"); ok {
		t.Error("the other bucket has the object")
	}
	_, err := own.Object.Get(t.Context(), "a", nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	_, err = own.Object.Delete(t.Context(), "a")
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	_, _, err = own.Bucket.Get(t.Context(), nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	if o, ok := srv.Object(bucket1, "a"); !ok || o.Size != 4 {
		t.Errorf("the object is %+v, %t", o, ok)
	}
}

func TestPolicy_Evaluation(t *testing.T) {
	const all = "qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/*"
	one := func(effect, action, resource, condition string) string {
		if condition != "" {
			condition = `,"condition":` + condition
		}
		return fmt.Sprintf(`{"effect":%q,"action":%q,"resource":%q%s}`, effect, action, resource, condition)
	}
	allow := func(action, resource string) string { return one("allow", action, resource, "") }
	tests := []struct {
		name       string
		statements string
		method     string
		target     string
		fields     []string
		allowed    bool
	}{
		{"exact action", allow("name/cos:GetObject", all), "GET", "/a", nil, true},
		{"short form", allow("cos:GetObject", all), "GET", "/a", nil, true},
		{"suffix wildcard", allow("name/cos:Get*", all), "GET", "/a", nil, true},
		{"all of cos", allow("name/cos:*", all), "GET", "/a", nil, true},
		{"everything", allow("*", "*"), "GET", "/a", nil, true},
		{"case matters", allow("name/cos:getObject", all), "GET", "/a", nil, false},
		{"prefix without a wildcard", allow("name/cos:Get", all), "GET", "/a", nil, false},
		{"other service", allow("name/ci:GetObject", all), "GET", "/a", nil, false},
		{"HEAD has its own action", allow("name/cos:GetObject", all), "HEAD", "/a", nil, false},
		{"HEAD", allow("name/cos:HeadObject", all), "HEAD", "/a", nil, true},
		{"bucket call", allow("name/cos:HeadBucket", resource(bucket1+"/")), "HEAD", "/", nil, true},
		{"bucket call not by an object's resource", allow("name/cos:HeadBucket", resource(bucket1+"/a*")), "HEAD", "/", nil, false},
		{"acl is not the object", allow("name/cos:GetObject", all), "GET", "/a?acl", nil, false},
		{"select is a download", allow("name/cos:GetObject", all), "POST", "/a?select&select-type=2", []string{"Content-Length: 0"}, true},

		{"under the prefix", allow("*", resource(bucket1+"/up/*")), "GET", "/up/a", nil, true},
		{"slash decoded before judging", allow("*", resource(bucket1+"/up/*")), "GET", "/up%2Fa", nil, true},
		{"dot segments are key bytes", allow("*", resource(bucket1+"/up/*")), "GET", "/up/../x", nil, true},
		{"outside the prefix", allow("*", resource(bucket1+"/up/*")), "GET", "/upx/a", nil, false},
		{"the key itself", allow("*", resource(bucket1+"/up/a")), "GET", "/up/a", nil, true},
		{"longer than the key", allow("*", resource(bucket1+"/up/a")), "GET", "/up/ab", nil, false},
		{"colon in the key", allow("*", resource(bucket1+"/a:b*")), "GET", "/a:bc", nil, true},
		{"wildcard in the middle", allow("*", resource(bucket1+"/*/b/*.txt")), "GET", "/x/y/b/z.txt", nil, true},
		{"wildcard in the middle, no", allow("*", resource(bucket1+"/*/b/*.txt")), "GET", "/x/y/c/z.txt", nil, false},
		{"other bucket", allow("*", resource(bucket2+"/*")), "GET", "/a", nil, false},
		{"bucket that begins alike", allow("*", resource("examplebucket-125000000/*")), "GET", "/a", nil, false},
		{"other region", allow("*", "qcs::cos:ap-beijing:uid/1250000000:"+bucket1+"/*"), "GET", "/a", nil, false},
		{"any region", allow("*", "qcs::cos:*:uid/1250000000:"+bucket1+"/*"), "GET", "/a", nil, true},
		{"other account", allow("*", "qcs::cos:ap-guangzhou:uid/1250000001:"+bucket1+"/*"), "GET", "/a", nil, false},

		{"deny wins", allow("*", "*") + "," + one("deny", "name/cos:GetObject", resource(bucket1+"/secret/*"), ""), "GET", "/secret/a", nil, false},
		{"deny elsewhere", allow("*", "*") + "," + one("deny", "name/cos:GetObject", resource(bucket1+"/secret/*"), ""), "GET", "/a", nil, true},

		{"list under a prefix", allow("name/cos:GetBucket", resource(bucket1+"/up/*")), "GET", "/?prefix=up/", nil, true},
		{"list of everything", allow("name/cos:GetBucket", resource(bucket1+"/up/*")), "GET", "/", nil, false},
		{"uploads under a prefix", allow("name/cos:ListMultipartUploads", resource(bucket1+"/up/*")), "GET", "/?uploads&prefix=up/", nil, true},
		{"uploads to everything", allow("name/cos:ListMultipartUploads", resource(bucket1+"/up/*")), "GET", "/?uploads", nil, false},
		{"GET that COS takes for a list", allow("name/cos:GetObject", all), "GET", "/a/..", nil, false},
		{"condition holds", one("allow", "*", "*", `{"string_like":{"cos:prefix":["x","up%2F*"]}}`), "GET", "/?prefix=up/a", nil, true},
		{"condition does not", one("allow", "*", "*", `{"string_like":{"cos:prefix":"up%2F*"}}`), "GET", "/?prefix=down/", nil, false},
		{"condition on a missing value", one("allow", "*", "*", `{"string_like":{"cos:prefix":"*"}}`), "GET", "/", nil, false},
		{"absent, if it exists", one("allow", "*", "*", `{"string_equal_if_exist":{"cos:prefix":"up"}}`), "GET", "/", nil, true},
		{"equal", one("allow", "*", "*", `{"string_equal":{"cos:x-cos-acl":"private"}}`), "GET", "/a", []string{"x-cos-acl: private"}, true},
		{"not equal", one("allow", "*", "*", `{"string_not_equal":{"cos:x-cos-acl":"private"}}`), "GET", "/a", []string{"x-cos-acl: private"}, false},
		{"header value as it is", one("allow", "*", "*", `{"string_equal":{"cos:content-type":"text/plain"}}`), "GET", "/a", []string{"Content-Type: text/plain"}, true},
		{"header value is not encoded", one("allow", "*", "*", `{"string_equal":{"cos:content-type":"text%2Fplain"}}`), "GET", "/a", []string{"Content-Type: text/plain"}, false},
		{"parameter value is encoded", one("allow", "*", "*", `{"string_equal":{"cos:prefix":"up%2Fa"}}`), "GET", "/?prefix=up/a", nil, true},
		{"plain parameter value", one("allow", "*", "*", `{"string_equal":{"cos:prefix":"up/a"}}`), "GET", "/?prefix=up/a", nil, false},
		{"case of a value", one("allow", "*", "*", `{"string_equal":{"cos:x-cos-acl":"private"}}`), "GET", "/a", []string{"x-cos-acl: Private"}, false},
		{"not equal on a missing value", one("allow", "*", "*", `{"string_not_equal":{"cos:x-cos-acl":"public-read"}}`), "GET", "/a", nil, false},
		{"not equal if it exists, on a missing value", one("allow", "*", "*", `{"string_not_equal_if_exist":{"cos:x-cos-acl":"public-read"}}`), "GET", "/a", nil, true},
		{"deny of not equal on a missing value", allow("*", "*") + "," + one("deny", "*", "*", `{"string_not_equal":{"cos:x-cos-acl":"private"}}`), "GET", "/a", nil, true},
		{"deny of not equal if it exists, on a missing value", allow("*", "*") + "," + one("deny", "*", "*", `{"string_not_equal_if_exist":{"cos:x-cos-acl":"private"}}`), "GET", "/a", nil, false},
		{"deny of equal on a missing value", allow("*", "*") + "," + one("deny", "*", "*", `{"string_equal":{"cos:x-cos-acl":["public-read","authenticated-read"]}}`), "GET", "/a", nil, true},
		{"deny of equal", allow("*", "*") + "," + one("deny", "*", "*", `{"string_equal":{"cos:x-cos-acl":["public-read","authenticated-read"]}}`), "GET", "/a", []string{"x-cos-acl: authenticated-read"}, false},
		{"deny of equal on another value", allow("*", "*") + "," + one("deny", "*", "*", `{"string_equal":{"cos:x-cos-acl":["public-read","authenticated-read"]}}`), "GET", "/a", []string{"x-cos-acl: private"}, true},
		{"star in front", one("allow", "*", "*", `{"string_like":{"cos:prefix":"*a"}}`), "GET", "/?prefix=up/a", nil, true},
		{"stars at both ends", one("allow", "*", "*", `{"string_like":{"cos:prefix":"*p%2F*"}}`), "GET", "/?prefix=up/a", nil, true},
		{"star inside is literal", one("allow", "*", "*", `{"string_like":{"cos:prefix":"u*a"}}`), "GET", "/?prefix=up/a", nil, false},
		{"no operator of COS", one("allow", "*", "*", `{"string_not_like":{"cos:prefix":"x*"}}`), "GET", "/?prefix=up/a", nil, false},
		{"version", one("allow", "*", "*", `{"string_equal":{"cos:versionid":"null"}}`), "GET", "/a?acl&versionId=", nil, false},
		{"address", one("allow", "*", "*", `{"ip_equal":{"qcs:ip":["10.0.0.0/8","127.0.0.1"]}}`), "GET", "/a", nil, true},
		{"address outside", one("allow", "*", "*", `{"ip_not_equal":{"qcs:ip":"127.0.0.0/8"}}`), "GET", "/a", nil, false},
		{"number", one("allow", "*", "*", `{"numeric_less_than_equal":{"cos:max-keys":10}}`), "GET", "/?max-keys=10", nil, true},
		{"number too large", one("allow", "*", "*", `{"numeric_less_than_equal":{"cos:max-keys":10}}`), "GET", "/?max-keys=11", nil, false},
		{"unknown operator", one("allow", "*", "*", `{"date_equal":{"cos:prefix":"up"}}`), "GET", "/?prefix=up", nil, false},
		{"unknown key", one("allow", "*", "*", `{"string_equal":{"cos:moon":"full"}}`), "GET", "/a", nil, false},
		{"unknown key in a deny", allow("*", "*") + "," + one("deny", "*", "*", `{"string_equal":{"cos:moon":"full"}}`), "GET", "/a", nil, false},
		{"deny whose condition fails", allow("*", "*") + "," + one("deny", "*", "*", `{"string_equal":{"cos:prefix":"x"}}`), "GET", "/a", nil, true},
	}
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			creds := clientCredentials{fmt.Sprint("AKID", i), "secret", "token"}
			policy := `{"version":"2.0","statement":[` + tt.statements + `]}`
			if err := srv.AddCredentials(cosemu.Credentials{SecretID: creds.id, SecretKey: creds.secretKey, Token: creds.token, Policy: policy}); err != nil {
				t.Fatal(err)
			}
			a := do(t, client, request(t, creds, tt.method, tt.target, nil, tt.fields...))
			if denied := a.status == http.StatusForbidden; denied == tt.allowed || denied && tt.method != "HEAD" && a.code() != "AccessDenied" {
				t.Errorf("%d %s, want allowed %t\n%s", a.status, a.code(), tt.allowed, a.body)
			}
		})
	}
}

func TestAddCredentials_InvalidPolicy(t *testing.T) {
	const ok = `{"version":"2.0","statement":[{"effect":"allow","action":"*","resource":"*"}]}`
	tests := map[string]string{
		"no JSON":          `{`,
		"two policies":     ok + ok,
		"version":          strings.Replace(ok, "2.0", "1.0", 1),
		"effect":           strings.Replace(ok, "allow", "Allow", 1),
		"no action":        strings.Replace(ok, `"action":"*",`, "", 1),
		"action":           strings.Replace(ok, `"action":"*"`, `"action":"PutObject"`, 1),
		"resource":         strings.Replace(ok, `"resource":"*"`, `"resource":"examplebucket-1250000000/*"`, 1),
		"principal":        strings.Replace(ok, `"effect"`, `"principal":{"qcs":["*"]},"effect"`, 1),
		"no statement":     `{"version":"2.0","statement":[]}`,
		"nested condition": strings.Replace(ok, `"effect"`, `"condition":{"string_equal":{"cos:prefix":{}}},"effect"`, 1),
	}
	srv := start(t, cosemu.Options{})
	if err := srv.AddCredentials(cosemu.Credentials{SecretID: "a", SecretKey: "b", Policy: ok}); err != nil {
		t.Fatal(err)
	}
	for name, policy := range tests {
		t.Run(name, func(t *testing.T) {
			if err := srv.AddCredentials(cosemu.Credentials{SecretID: "a", SecretKey: "b", Policy: policy}); err == nil {
				t.Errorf("took %s", policy)
			}
		})
	}
}

func TestPolicy_DeleteMultiplePerKey(t *testing.T) {
	srv := start(t, cosemu.Options{})
	all := sdk(t, srv, bucket1, longLived(srv))
	put(t, all, "mine/a", "1")
	put(t, all, "other/a", "1")
	creds := issue(t, srv, policyOf([]string{"name/cos:DeleteObject"}, []string{resource(bucket1 + "/mine/*")}))
	result, _, err := sdk(t, srv, bucket1, creds).Object.DeleteMulti(t.Context(), &cos.ObjectDeleteMultiOptions{
		Objects: []cos.Object{{Key: "mine/a"}, {Key: "other/a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.DeletedObjects) != 1 || result.DeletedObjects[0].Key != "mine/a" {
		t.Errorf("deleted %+v", result.DeletedObjects)
	}
	if len(result.Errors) != 1 || result.Errors[0].Key != "other/a" || result.Errors[0].Code != "AccessDenied" {
		t.Errorf("errors %+v", result.Errors)
	}
	if _, ok := srv.Object(bucket1, "other/a"); !ok {
		t.Error("other/a is gone")
	}
}

// TestPolicy_UploadACL checks that the ACL of an upload is judged under the upload's
// own action, and by conditions alone.
func TestPolicy_UploadACL(t *testing.T) {
	now := time.Now()
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	put(t, sdk(t, srv, bucket1, longLived(srv)), "dir/source", "x")
	client := httpClient(t, srv)
	creds := func(name, deny string) clientCredentials {
		creds := clientCredentials{"AKID" + name, "secret", "token"}
		policy := `{"version":"2.0","statement":[{"effect":"allow","action":["name/cos:PutObject","name/cos:PostObject","name/cos:AppendObject",` +
			`"name/cos:GetObject","name/cos:InitiateMultipartUpload"],"resource":"*"}` + deny + `]}`
		if err := srv.AddCredentials(cosemu.Credentials{SecretID: creds.id, SecretKey: creds.secretKey, Token: creds.token, Policy: policy}); err != nil {
			t.Fatal(err)
		}
		return creds
	}
	open := creds("open", "")
	held := creds("held", `,{"effect":"deny","action":"name/cos:*","resource":"*","condition":{"string_equal":{"cos:x-cos-acl":"public-read"}}}`)
	for _, c := range []struct {
		name, method, target string
		fields               []string
	}{
		{"put", "PUT", "/dir/put", nil},
		{"append", "POST", "/dir/append?append&position=0", nil},
		{"copy", "PUT", "/dir/copy", []string{"x-cos-copy-source: " + host1 + "/dir/source"}},
		{"initiate", "POST", "/dir/initiate?uploads", nil},
	} {
		send := func(creds clientCredentials, acl string) httpResponse {
			fields := append([]string{"Content-Length: 0", "x-cos-acl: " + acl}, c.fields...)
			return do(t, client, request(t, creds, c.method, c.target, strings.NewReader(""), fields...))
		}
		if a := send(held, "public-read"); a.status != http.StatusForbidden {
			t.Errorf("%s: %d\n%s", c.name, a.status, a.body)
		}
		if a := send(open, "public"); a.status != http.StatusBadRequest || a.code() != "InvalidArgument" {
			t.Errorf("%s with no ACL that COS knows: %d\n%s", c.name, a.status, a.body)
		}
		if a := send(open, "public-read"); a.status != http.StatusOK {
			t.Errorf("%s: %d\n%s", c.name, a.status, a.body)
		} else if o, ok := srv.Object(bucket1, "dir/"+c.name); ok && storedHeader(o, "x-cos-acl") != "public-read" {
			t.Errorf("%s is stored with %v", c.name, o.Header)
		}
	}
	for _, c := range []struct {
		field  string
		creds  clientCredentials
		status int
	}{
		{"x-cos-acl", open, http.StatusNoContent}, {"x-cos-acl", held, http.StatusForbidden}, {"X-COS-Acl", held, http.StatusForbidden},
		{"acl", held, http.StatusNoContent}, // not documented as a condition key
	} {
		f := newForm(c.creds, now)
		f.fields = append(f.fields, [2]string{c.field, "public-read"})
		if a := f.send(t, srv); a.status != c.status {
			t.Errorf("form with %s: %d, want %d\n%s", c.field, a.status, c.status, a.body)
		}
	}
}

// TestCopy_ACL checks that a copy has the requested ACL and not that of its source.
func TestCopy_ACL(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	send := func(target string, fields ...string) {
		t.Helper()
		fields = append(fields, "Content-Length: 0")
		if a := do(t, client, request(t, longLived(srv), "PUT", target, strings.NewReader(""), fields...)); a.status != http.StatusOK {
			t.Fatalf("%s: %d\n%s", target, a.status, a.body)
		}
	}
	send("/a", "x-cos-acl: public-read", `x-cos-grant-read: id="2"`, "x-cos-meta-a: 1")
	send("/b", "x-cos-copy-source: "+host1+"/a")
	o, _ := srv.Object(bucket1, "b")
	if got := fmt.Sprint(o.Header); got != "map[x-cos-meta-a:[1]]" {
		t.Errorf("the copy is stored with %s", got)
	}
	a := do(t, client, request(t, longLived(srv), "GET", "/a?acl", nil))
	if !strings.Contains(a.body, "<ID>2</ID>") || !strings.Contains(a.body, "AllUsers") {
		t.Errorf("%s", a.body)
	}
}
