package proxy_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

// s3Policy returns a policy of a client that is valid for a minute. conditions are JSON, in
// addition to those of the signature and the bucket.
func s3Policy(conditions ...string) string {
	all := append([]string{
		`{"bucket": "` + bucket + `"}`, `{"x-amz-algorithm": "AWS4-HMAC-SHA256"}`, `{"x-amz-credential": "client/20260101/any/s3/aws4_request"}`, `{"x-amz-date": "20260101T000000Z"}`,
	}, conditions...)
	return policyUntil(time.Now().Add(time.Minute), all...)
}

func policyUntil(expiration time.Time, conditions ...string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration": %q, "conditions": [%s]}`,
		expiration.UTC().Format(time.RFC3339), strings.Join(conditions, ", ")))
}

// s3Signed are the fields of a dummy signature with a policy.
func s3Signed(conditions ...string) string {
	return s3Dummy + field("policy", s3Policy(conditions...))
}

const s3Dummy = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"x-amz-algorithm\"\r\n\r\nAWS4-HMAC-SHA256\r\n" +
	"--" + boundary + "\r\nContent-Disposition: form-data; name=\"X-Amz-Credential\"\r\n\r\nclient/20260101/any/s3/aws4_request\r\n" +
	"--" + boundary + "\r\nContent-Disposition: form-data; name=\"x-amz-date\"\r\n\r\n20260101T000000Z\r\n" +
	"--" + boundary + "\r\nContent-Disposition: form-data; name=\"x-amz-signature\"\r\n\r\nclient\r\n"

// s3Post is an S3 form in path style.
func s3Post(body string) string { return post("/"+bucket, "", body) }

const anyKey = `["starts-with", "$key", ""]`

// refusedS3Form checks a proxy error in the dialect of S3. Nothing may reach the upstream.
func (r *rig) refusedS3Form(t *testing.T, rep reply, status int, code string) (message string) {
	t.Helper()
	message = s3Refusal(t, rep, status, code)
	if n := len(r.upstream.seen()); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
	return message
}

func s3Refusal(t *testing.T, rep reply, status int, code string) (message string) {
	t.Helper()
	var doc struct{ Code, Message, RequestID string }
	if err := xml.Unmarshal([]byte(strings.ReplaceAll(rep.body, "RequestId", "RequestID")), &doc); err != nil || rep.status != status || doc.Code != code {
		t.Fatalf("want %d %s, got (%v)\n%s%s", status, code, err, rep.head, rep.body)
	}
	if id := rep.header.Get("X-Amz-Request-Id"); id == "" || id != doc.RequestID || rep.header["X-Cos-Request-Id"] != nil {
		t.Errorf("the request ID is not in the dialect of S3:\n%s%s", rep.head, rep.body)
	}
	return doc.Message
}

// S3 forms are signed with the credentials of the sidecar, wherever they are sent.
func TestS3Form_Upload(t *testing.T) {
	v4 := s3Signed(anyKey, `{"acl": "private"}`, `["starts-with", "$Content-Type", "text/"]`, `{"x-amz-meta-Colour": "blau"}`, `["eq", "$success_action_status", "201"]`, `["content-length-range", 0, 1000000]`)
	v2 := field("AWSAccessKeyId", "client") + field("signature", "client") + field("policy", policyUntil(time.Now().Add(time.Minute), `{"bucket": "`+bucket+`"}`,
		anyKey, `{"acl": "private"}`, `["starts-with", "$Content-Type", ""]`, `["starts-with", "$x-amz-meta-colour", ""]`, `{"success_action_status": "201"}`, `["content-length-range", 0, "1000000"]`))
	ignored := field("x-ignore-me", "client") + field("bucket", bucket)
	tests := []struct{ name, target, host, fields string }{
		{"path style", "/" + bucket, "localhost", v4},
		{"path style with a slash", "/" + bucket + "/", "127.0.0.1", v4},
		{"path style, version 2", "/" + bucket, "localhost", v2},
		{"path style, no policy", "/" + bucket, "localhost", ""},
		{"host of the bucket", "/", cosHost, v4},
		{"host of the bucket, version 2", "/", bucket + ".localhost", v2},
		{"path style at the region", "/" + bucket, "cos." + region + ".myqcloud.com", v4},
		{"path of the route", "/", "localhost", v4},
		{"fields in other cases", "/" + bucket, "localhost", strings.NewReplacer("x-amz-algorithm", "X-Amz-Algorithm", "policy", "Policy").Replace(v4)},
	}
	for _, tt := range tests {
		for size, content := range map[string]string{"buffered": "hello", "streamed": contents["large"]} {
			t.Run(tt.name+", "+size, func(t *testing.T) {
				r := start(t, setup{})
				request := post(tt.target, "", tt.fields+ignored+field("key", "dir/${filename}")+field("acl", "private")+field("Content-Type", "text/plain")+
					field("x-amz-meta-Colour", "blau")+field("success_action_status", "201")+file("f.txt", content+closing))
				rep := r.exchange(t, strings.Replace(request, "Host: localhost", "Host: "+tt.host, 1))
				if rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
				a, f := r.upstream.only(t), r.form(t)
				if want := append(slices.Clone(s3SignedFields), "key", "acl", "Content-Type", "x-amz-meta-Colour", "success_action_status"); !slices.Equal(f.names, want) {
					t.Errorf("fields %q, want %q", f.names, want)
				}
				if f.values["key"] != "dir/f.txt" || f.values["x-amz-meta-Colour"] != "blau" || f.content != content || strings.Contains(a.head+string(a.body), "client") {
					t.Errorf("arrived as\n%s%.2000s", a.head, a.body)
				}
				if a.target() != "/" || a.wire().Get("Host") != cosHost {
					t.Errorf("sent to\n%s", a.head)
				}
				conditions, err := f.s3Conditions(time.Now())
				if limited := slices.Contains(conditions, `["content-length-range",0,1000000]`); err != nil || limited != (tt.fields != "") {
					t.Errorf("conditions %q (%v)", conditions, err)
				}
				if log := r.drained(t); !strings.Contains(log, "cos.action=name/cos:PostObject") || !strings.Contains(log, "cos.object_key=dir/f.txt") {
					t.Errorf("log %s", log)
				}
			})
		}
	}
}

// The policy of the client is enforced.
func TestS3Form_Policy(t *testing.T) {
	a := field("key", "up/a.txt") + file("f", "x"+closing)
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	expired := policyUntil(time.Now().Add(-time.Second), anyKey)
	tests := []struct {
		name, body string
		status     int
		code, says string
	}{
		{"met", s3Signed(`["eq", "$key", "up/a.txt"]`) + a, 200, "", ""},
		{"prefix", s3Signed(`["starts-with", "$Key", "up/"]`) + a, 200, "", ""},
		{"variable is replaced", s3Signed(`{"key": "up/f"}`) + field("key", "up/${filename}") + file("f", "x"+closing), 200, "", ""},
		{"other key", s3Signed(`["eq", "$key", "up/b.txt"]`) + a, 403, "AccessDenied", "key"},
		{"other prefix", s3Signed(`["starts-with", "$key", "down/"]`) + a, 403, "AccessDenied", "key"},
		{"other prefix after the variable", s3Signed(`["starts-with", "$key", "${filename}"]`) + field("key", "${filename}") + file("f", "x"+closing), 403, "AccessDenied", "key"},
		{"no condition for the key", s3Signed() + a, 403, "AccessDenied", "Extra input fields: key"},
		{"no condition for a field", s3Signed(anyKey) + field("x-amz-meta-a", "1") + a, 403, "AccessDenied", "x-amz-meta-a"},
		{"no condition for an ACL", s3Signed(anyKey) + field("acl", "private") + a, 403, "AccessDenied", "acl"},
		{"missing field", s3Signed(anyKey, `["starts-with", "$Content-Type", ""]`) + a, 403, "AccessDenied", "content-type"},
		{"two conditions, one fails", s3Signed(anyKey, `["eq", "$key", "b"]`) + a, 403, "AccessDenied", "key"},
		{"other bucket", s3Signed(anyKey, `{"bucket": "other-1250000000"}`) + a, 403, "AccessDenied", "bucket"},
		{"field bucket is another", s3Dummy + field("bucket", "other-1250000000") + a, 403, "AccessDenied", "other-1250000000"},
		{"expired", field("policy", expired) + a, 403, "AccessDenied", "expired"},
		{"not base64", field("policy", "{}") + a, 400, "InvalidPolicyDocument", "base64"},
		{"not JSON", field("policy", b64("x")) + a, 400, "InvalidPolicyDocument", "JSON"},
		{"empty", field("policy", "") + a, 400, "InvalidPolicyDocument", "JSON"},
		{"two policies", field("policy", s3Policy(anyKey)) + field("Policy", s3Policy(anyKey)) + a, 400, "InvalidArgument", "twice"},
		{"unknown condition", s3Signed(anyKey, `["ends-with", "$key", "t"]`) + a, 400, "InvalidPolicyDocument", "condition 6"},
		{"a type in the list is other", s3Signed(anyKey, `["starts-with", "$Content-Type", "image/"]`) + field("Content-Type", "image/png,text/html") + a, 403, "AccessDenied", "content-type"},
		{"a list of types", s3Signed(anyKey, `["starts-with", "$Content-Type", "image/"]`) + field("Content-Type", "image/png,image/gif") + a, 200, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, s3Post(tt.body))
			if tt.status == http.StatusOK {
				if rep.status != http.StatusOK || len(r.upstream.seen()) != 1 {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
				return
			}
			if message := r.refusedS3Form(t, rep, tt.status, tt.code); !strings.Contains(message, tt.says) {
				t.Errorf("message %q does not contain %q", message, tt.says)
			}
		})
	}
}

// The size limit of the policy and the checksums of the file are verified before COS has
// the complete form.
func TestS3Form_File(t *testing.T) {
	for _, size := range []int{10, 100_000, 300_000} {
		content := strings.Repeat("0123456789", size/10)
		signed := func(conditions ...string) string { return s3Signed(append(conditions, anyKey)...) + field("key", "a") }
		limit := func(from, to int) string { return fmt.Sprintf(`["content-length-range", %d, %d]`, from, to) }
		crcField := `["starts-with", "$x-amz-checksum-crc32", ""]`
		tests := []struct{ name, fields, code string }{
			{"within", signed(limit(size, size)), ""},
			{"too large", signed(limit(0, size-1)), "EntityTooLarge"},
			{"much too large", signed(limit(0, 1)), "EntityTooLarge"},
			{"too small", signed(limit(size+1, 1<<30)), "EntityTooSmall"},
			{"two limits", signed(limit(0, size), limit(0, size-1)), "EntityTooLarge"},
			{"checksum", signed(crcField) + field("x-amz-checksum-crc32", crcOf(content)), ""},
			{"other checksum", signed(crcField) + field("x-amz-checksum-crc32", crcOf(content+"0")), "BadDigest"},
		}
		for _, tt := range tests {
			for _, end := range []string{closing, strings.TrimSuffix(closing, "\r\n"), closing + "epilogue"} {
				t.Run(fmt.Sprintf("%s, %d, %q", tt.name, size, end), func(t *testing.T) {
					handle := neverWhole(t)
					if tt.code == "" {
						handle = nil
					}
					r := start(t, setup{handle: handle})
					rep := r.exchange(t, s3Post(tt.fields+file("f", content+end)))
					if tt.code != "" {
						s3Refusal(t, rep, http.StatusBadRequest, tt.code)
						return
					}
					if f := r.form(t); rep.status != http.StatusOK || f.content != content || f.values["x-amz-checksum-crc32"] != "" {
						t.Errorf("got\n%s%s", rep.head, rep.body)
					}
				})
			}
		}
	}
}

// crcOf returns the CRC-32 of a file in the form of S3.
func crcOf(content string) string {
	c := crc32.ChecksumIEEE([]byte(content))
	return base64.StdEncoding.EncodeToString([]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
}

// Fields have the rules of header fields.
func TestS3Form_Fields(t *testing.T) {
	const forwarded, dropped = "forwarded", "dropped"
	tests := []struct{ name, value, want string }{
		{"x-amz-storage-class", "STANDARD_IA", forwarded},
		{"X-Amz-Server-Side-Encryption", "AES256", forwarded},
		{"x-amz-meta-a_b", "1", forwarded},
		{"tagging", "<Tagging/>", forwarded},
		{"x-amz-grant-read", "id=\"1\"", forwarded},
		{"Cache-Control", "no-cache", forwarded},
		{"redirect", "https://app.example", forwarded},
		{"x-amz-security-token", "client", dropped},
		{"x-amz-checksum-algorithm", "CRC32", dropped},
		{"x-amz-content-sha256", "UNSIGNED-PAYLOAD", dropped},
		{"x-ignore-a", "1", dropped},
		{"x-amz-server-side-encryption", "aws:kms", "501 NotImplemented"},
		{"x-amz-object-lock-mode", "GOVERNANCE", "501 NotImplemented"},
		{"x-amz-copy-source", "/b/k", "501 NotImplemented"},
		{"If-None-Match", "*", "501 NotImplemented"},
		{"x-amz-meta-a", "${filename}", "501 NotImplemented"},
		{"x-amz-checksum-crc32", "x", "400 InvalidRequest"},
		{"x-amz-checksum-md5", "x", "501 NotImplemented"},
		{"x-amz_acl", "private", "400 InvalidArgument"},
		{"x-cos-meta-a", "1", "400 InvalidRequest"},
		{"x-cos-security-token", "1", "400 InvalidRequest"},
		{"x-ci-process", "1", "400 InvalidRequest"},
		{"Pic-Operations", "{}", "400 InvalidRequest"},
		{"q-signature", "1", "400 InvalidRequest"},
		{"key", "b", "400 InvalidArgument"},
		{"KEY", "b", "400 InvalidArgument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{})
			rep := r.exchange(t, s3Post(s3Signed(anyKey, `["starts-with", "$`+tt.name+`", ""]`)+field(tt.name, tt.value)+field("key", "a")+file("f", "x"+closing)))
			if tt.want == forwarded || tt.want == dropped {
				if rep.status != http.StatusOK {
					t.Fatalf("got\n%s%s", rep.head, rep.body)
				}
				if got := r.form(t); slices.Contains(got.names[len(s3SignedFields):], tt.name) != (tt.want == forwarded) {
					t.Errorf("fields %q", got.names)
				}
				return
			}
			var status int
			var code string
			_, _ = fmt.Sscan(tt.want, &status, &code)
			if message := r.refusedS3Form(t, rep, status, code); !strings.Contains(strings.ToLower(message), strings.ToLower(tt.name)) && tt.name != "q-signature" {
				t.Errorf("message %q", message)
			}
		})
	}
}

// A form has one dialect.
func TestForm_Dialect(t *testing.T) {
	s3Route := func(o *proxy.Options) { o.Routes[0].Dialect = proxy.DialectS3 }
	named := func(o *proxy.Options) { o.Routes[0].PathPrefix = "/" + bucket + "/" }
	rest := field("key", "a") + file("f", "x"+closing)
	ofCOS := field("q-ak", "client") + field("q-signature", "client")
	const cosForm, s3Form = "COS", "S3"
	tests := []struct {
		name, target, host, header, body string
		options                          func(*proxy.Options)
		want                             string
	}{
		{"unsigned", "/", cosHost, "", rest, nil, cosForm},
		{"unsigned, path style", "/" + bucket, "localhost", "", rest, nil, s3Form},
		{"unsigned, route of S3", "/", cosHost, "", rest, s3Route, s3Form},
		{"signed for COS, route of S3", "/", cosHost, "", ofCOS + rest, s3Route, cosForm},
		{"signed for S3", "/", cosHost, "", s3Dummy + rest, nil, s3Form},
		{"AWS header", "/", cosHost, "Authorization: AWS4-HMAC-SHA256 client\r\n", rest, nil, s3Form},
		{"AWS header and form", "/" + bucket, "localhost", "Authorization: AWS4-HMAC-SHA256 client\r\n", s3Dummy + rest, nil, s3Form},
		{"path of the route is the bucket", "/" + bucket + "/", "localhost", "", rest, named, cosForm},
		{"path of the route is the bucket, signed for S3", "/" + bucket + "/", "localhost", "", s3Dummy + rest, named, s3Form},
		{"both", "/", cosHost, "", s3Dummy + ofCOS + rest, nil, "400 InvalidRequest"},
		{"both, path style", "/" + bucket, "localhost", "", s3Dummy + ofCOS + rest, nil, "400 InvalidRequest"},
		{"signed for COS, path style", "/" + bucket, "localhost", "", ofCOS + rest, nil, "400 InvalidRequest"},
		{"AWS header, signed for COS", "/", cosHost, "Authorization: AWS4-HMAC-SHA256 client\r\n", ofCOS + rest, nil, "400 InvalidRequest"},
		{"COS header, signed for S3", "/", cosHost, "Authorization: q-sign-algorithm=sha1\r\n", s3Dummy + rest, nil, "400 InvalidRequest"},
		{"metadata of S3", "/", cosHost, "", field("x-amz-meta-a", "1") + rest, nil, "400 InvalidRequest"},
		{"ACL of S3", "/", cosHost, "", ofCOS + field("X-Amz-Acl", "private") + rest, nil, "400 InvalidRequest"},
		{"checksum of S3", "/", cosHost, "", field("x-amz-checksum-crc32", "AAAAAA==") + rest, nil, "400 InvalidRequest"},
		{"remnant of a signature", "/", cosHost, "", field("x-amz-date", "client") + field("x-amz-security-token", "client") + rest, nil, cosForm},
		{"header of S3", "/" + bucket, "localhost", "x-amz-meta-a: 1\r\n", rest, nil, "400 InvalidArgument"},
		{"header of COS", "/" + bucket, "localhost", "x-cos-meta-a: 1\r\n", rest, nil, "400 InvalidRequest"},
		{"unknown bucket", "/other-1250000000", "localhost", "Authorization: AWS4-HMAC-SHA256 client\r\n", rest, nil, "404 NoSuchBucket"},
		{"query", "/" + bucket + "?x=1", "localhost", "Authorization: AWS4-HMAC-SHA256 client\r\n", rest, nil, "501 NotImplemented"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: tt.options})
			rep := r.exchange(t, strings.Replace(post(tt.target, tt.header, tt.body), "Host: localhost", "Host: "+tt.host, 1))
			var status int
			var code string
			if n, _ := fmt.Sscan(tt.want, &status, &code); n == 2 {
				if rep.status != status || !strings.Contains(rep.body, "<Code>"+code+"</Code>") || len(r.upstream.seen()) != 0 {
					t.Errorf("want %s, got\n%s%s", tt.want, rep.head, rep.body)
				}
				return
			}
			if rep.status != http.StatusOK {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			f := r.form(t)
			if isS3 := f.values["x-amz-signature"] != ""; isS3 != (tt.want == s3Form) || f.values["key"] != "a" || len(f.names) != len(s3SignedFields)+1 {
				t.Errorf("fields %q", slices.Sorted(maps.Keys(f.values)))
			}
			if a := r.upstream.only(t); strings.Contains(a.head+string(a.body), "client") {
				t.Errorf("arrived as\n%s%s", a.head, a.body)
			}
		})
	}
}

// The rules of the route apply.
func TestS3Form_NotAllowed(t *testing.T) {
	tests := []struct{ name, fields, says string }{
		{"allowed", field("key", "up/a"), ""},
		{"private", field("key", "up/a") + field("acl", "private"), ""},
		{"other prefix", field("key", "down/a"), "default/AllowPrefixes"},
		{"out with dots", field("key", "up/../a"), "default/AllowPrefixes"},
		{"by filename", field("key", "${filename}"), "default/AllowPrefixes"},
		{"public", field("key", "up/a") + field("acl", "public-read"), "default/AllowActions"},
		{"public by x-amz-acl", field("key", "up/a") + field("x-amz-acl", "public-read"), "default/AllowActions"},
		{"grant", field("key", "up/a") + field("X-Amz-Grant-Read", "id=\"1\""), "default/AllowActions"},
		{"tags", field("key", "up/a") + field("tagging", "<Tagging/>"), "default/AllowActions"},
		{"tags by x-amz-tagging", field("key", "up/a") + field("X-Amz-Tagging", "a=b"), "default/AllowActions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: func(o *proxy.Options) {
				o.Routes[0].AllowActions, o.Routes[0].AllowPrefixes = []string{"name/cos:PostObject"}, []string{"up/*"}
			}})
			rep := r.exchange(t, s3Post(tt.fields+file("f", "x"+closing)))
			if tt.says == "" {
				if rep.status != http.StatusOK {
					t.Errorf("got\n%s%s", rep.head, rep.body)
				}
				return
			}
			if message := r.refusedS3Form(t, rep, http.StatusForbidden, "AccessDenied"); !strings.Contains(message, tt.says) {
				t.Errorf("message %q", message)
			}
		})
	}
}

// Rejected credentials are replaced: a small form is signed again, a large one is sent
// after a probe.
func TestS3Form_CredentialsRejected(t *testing.T) {
	rejects := func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		if strings.Contains(string(a.body)+a.wire().Get("Authorization"), "AKIDsentinel1/") {
			a.respond(errorResponse(403, "InvalidAccessKeyId", "no"))
			return
		}
		a.respond(ok)
	}
	for name, content := range map[string]string{"small": "x", "large": contents["large"]} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: rejects})
			r.upstream.probed = true
			rep := r.exchange(t, s3Post(s3Signed(anyKey, `["content-length-range", 1, 1000000]`)+field("key", "a")+file("f", content+closing)))
			seen := r.upstream.seen()
			if rep.status != http.StatusOK || len(seen) != 2 {
				t.Fatalf("%d attempts, got\n%s%s", len(seen), rep.head, rep.body)
			}
			if isProbe := seen[0].target() == "/?location" && strings.HasPrefix(seen[0].wire().Get("Authorization"), "AWS4-HMAC-SHA256 "); isProbe != (name == "large") {
				t.Errorf("first attempt\n%s", seen[0].head)
			}
			if f, err := seen[1].parseForm(); err != nil || f.content != content || !strings.HasPrefix(f.values["x-amz-credential"], "AKIDsentinel2/") {
				t.Errorf("arrived with %q (%v)", f.values["x-amz-credential"], err)
			}
		})
	}
}

// COS echoes signatures in errors. The client does not see that of cosproxy.
func TestS3Form_SignatureMasked(t *testing.T) {
	r := start(t, setup{handle: func(a *arrival) {
		if a.readBody() == nil {
			f, _ := a.parseForm()
			a.respond(errorResponse(403, "SignatureDoesNotMatch", f.values["x-amz-signature"]+" "+f.values["x-amz-security-token"]))
		}
	}})
	rep := r.exchange(t, s3Post(field("key", "a")+file("f", "x"+closing)))
	if f := r.form(t); rep.status != http.StatusForbidden || strings.Contains(rep.body, f.values["x-amz-signature"]) || strings.Contains(rep.body, "token-sentinel") {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
}

// FuzzS3Form sends arbitrary fields and policies. Whatever is forwarded is signed, and has
// a key that the client's policy allows.
func FuzzS3Form(f *testing.F) {
	for _, seed := range []string{`{"key": "up/a"}`, anyKey, `["starts-with", "$key", "up/"]`, `["content-length-range", 1, 2]`, `{"key": "up/a", "key": "b"}`, `null`, `{}`, `[]`} {
		f.Add(`{"expiration": "2999-01-01T00:00:00Z", "conditions": [`+seed+`]}`, field("key", "up/a"), "xy")
	}
	f.Add(`{"expiration": "2999-01-01T00:00:00Z", "conditions": [{"key": "up/a"}]}`, field("Key", "up/a")+field("KEY", "b")+field("policy", "e30="), "")
	keys := newCredentials(1)
	m := startMemoryCOS(f, []proxy.Route{{
		Bucket: bucket, Region: region, Endpoint: plainCOS, AllowActions: []string{"*"}, AllowPrefixes: []string{"up/*"}, Credentials: keys,
	}})
	f.Fuzz(func(t *testing.T, policy, fields, content string) {
		body := field("policy", base64.StdEncoding.EncodeToString([]byte(policy))) + fields + file("f", content+closing)
		status, _, got := m.ask(t, s3Post(body))
		if (status == http.StatusOK) != (got != nil) {
			t.Fatalf("%q: status %d, and COS got %v", body, status, got)
		}
		if got == nil {
			return
		}
		form, err := got.parseForm()
		if err == nil {
			err = form.checkS3(keys.list, bucket, time.Now())
		}
		if err != nil {
			t.Fatalf("%q arrived as %q: %v", body, got.body, err)
		}
		var doc struct {
			Expiration time.Time
			Conditions []json.RawMessage
		}
		if json.Unmarshal([]byte(policy), &doc) != nil || !time.Now().Before(doc.Expiration) || len(doc.Conditions) == 0 || !strings.Contains(strings.ToLower(policy), "key") && !strings.Contains(policy, `\u`) {
			t.Errorf("%q was accepted for the fields %q", policy, form.names)
		}
	})
}

// A POST with a parameter is not a form: its path is an object key of COS.
func TestS3Form_NotWithParameters(t *testing.T) {
	r := start(t, setup{})
	rep := r.exchange(t, "POST /"+bucket+"?uploads HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 0\r\n\r\n")
	if a := r.upstream.only(t); rep.status != http.StatusOK || a.target() != "/"+bucket+"?uploads" || strings.HasPrefix(a.wire().Get("Authorization"), "AWS4-") {
		t.Errorf("status %d, arrived as\n%s", rep.status, a.head)
	}
}
