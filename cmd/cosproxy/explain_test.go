package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"cosproxy/proxy"
	"cosproxy/signer"
)

const explainHost = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"

// explainOutput runs cosproxy explain at the time now.
func explainOutput(t *testing.T, stdin string, now time.Time, environ []string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code, err := explain(t.Context(), args, environ, streams{strings.NewReader(stdin), &out, io.Discard}, now)
	if err != nil {
		return exitUsage, err.Error()
	}
	return code, out.String()
}

// staticCredentials returns an environment with the source static.
func staticCredentials(changes ...string) []string {
	return settingsFor(append([]string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_TOKEN=" + testToken}, changes...)...)
}

// explain does not know the signatures of S3 requests, but the reasons to reject them.
func TestExplain_S3(t *testing.T) {
	const authorization = "Authorization: AWS4-HMAC-SHA256 Credential=dummy/20261129/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
	const path = "http://127.0.0.1:4360/examplebucket-1250000000/uploads/a"
	for name, tt := range map[string]struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		"Version 4": {staticCredentials(), []string{"GET", path, "-H", authorization}, exitUsage, "AWS signature"},
		"Version 2": {staticCredentials(), []string{"GET", path, "-H", "Authorization: AWS dummy:00"}, exitUsage, "AWS signature"},
		"presigned": {staticCredentials(), []string{"GET", path + "?AWSAccessKeyId=dummy&Signature=00&Expires=9999999999"}, exitUsage, "AWS signature"},
		"dialect":   {staticCredentials("COSPROXY_DIALECT=s3"), []string{"GET", path}, exitUsage, "COSPROXY_DIALECT"},
		"bucket":    {staticCredentials(), []string{"GET", "http://127.0.0.1:4360/uploads/a", "-H", authorization}, exitFailure, "404 NoSuchBucket"},
	} {
		if code, output := explainOutput(t, "", time.Unix(1893456000, 0), tt.environ, tt.args...); code != tt.code || !strings.Contains(output, tt.want) {
			t.Errorf("%s: code %d, %s", name, code, output)
		}
	}
}

func TestExplain_Request(t *testing.T) {
	bucketOnly := []string{"COSPROXY_BUCKET=examplebucket-1250000000", "COSPROXY_REGION=ap-guangzhou"}
	routes := []string{
		"COSPROXY_REGION=ap-guangzhou", "COSPROXY_SOURCE=cvm",
		"COSPROXY_ROUTES_0_BUCKET=examplebucket-1250000000", "COSPROXY_ROUTES_0_ALLOW_PREFIXES=*", "COSPROXY_ROUTES_0_ALLOW_ACTIONS=read",
		"COSPROXY_ROUTES_0_PATH_PREFIX=/photos/", "COSPROXY_ROUTES_0_OBJECT_PREFIX=img/",
		"COSPROXY_ROUTES_1_BUCKET=other-1250000000", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=*", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=read",
		"COSPROXY_ROUTES_1_HOSTS=Logs.internal",
	}
	tests := []struct {
		name    string
		environ []string
		args    []string
		want    []string
		not     []string
	}{
		{"local address", staticCredentials(), []string{"GET", "http://127.0.0.1:4360/uploads/a%20b?versionId=2&response-expires=+&_=1"}, []string{
			"To COS:            GET https://" + explainHost + "/uploads/a%20b?versionId=2&response-expires=%20\n",
			"Route:             default, object key uploads/a b, name/cos:GetObject\n",
			"Credentials:       AKIDexample, from the settings\n",
			"KeyTime:           1893455940;1893459540\n",
			"Signed headers:    host;x-cos-security-token\n", "Signed parameters: response-expires;versionid\n",
			"Not sent:          parameter _: not documented by COS, so cosproxy removes it\n",
			"  | get\n  | /uploads/a b\n  | response-expires=%20&versionid=2\n  | host=" + explainHost + "&x-cos-security-token=[masked]\n",
			"do not hash this text by hand",
		}, nil},
		{"bucket and region are enough", bucketOnly, []string{"PUT", "http://localhost:4360/a", "-H", "Content-Length: 13"}, []string{
			"Credentials:       " + exampleCredentials.SecretID + ", the example of the COS documentation, since the settings contain no credentials\n",
			"  | content-length=13&host=" + explainHost + "\n",
		}, []string{"[masked]", "by hand"}},
		{"no settings", nil, []string{"HEAD", "https://" + explainHost}, []string{
			"To COS:            HEAD https://" + explainHost + "/\n", "Route:             none (not in the settings)\n", "Signed parameters: none\n",
		}, nil},
		{"Host of the bucket", staticCredentials(), []string{"GET", "http://127.0.0.1:4360/uploads/a", "-H", "Host: " + explainHost}, []string{"Route:             default, object key uploads/a,"}, nil},
		{"other bucket", staticCredentials(), []string{"DELETE", "https://other-1250000000.cos.ap-guangzhou.myqcloud.com/x"}, []string{"none (not in the settings)"}, nil},
		{"own bucket", staticCredentials(), []string{"GET", "https://" + explainHost + "/uploads/x"}, []string{"Route:             default"}, nil},
		{"fetched credentials", settingsFor(), []string{"GET", "http://127.0.0.1/uploads/a"}, []string{"cosproxy fetches its own"}, []string{"AKIDexample"}},
		{"allowed host", staticCredentials("COSPROXY_ALLOWED_HOSTS=cosproxy.internal"), []string{"GET", "http://COSPROXY.internal/uploads/a"}, []string{"Route:             default"}, nil},
		{"path prefix", routes, []string{"GET", "http://127.0.0.1/photos/a"}, []string{"/img/a\n", "Route:             /photos/, object key img/a, ", "cosproxy fetches its own"}, nil},
		{"host of a route", routes, []string{"GET", "http://logs.internal/x"}, []string{"https://other-1250000000."}, nil},
		{"listing", staticCredentials("COSPROXY_ALLOW_ACTIONS=list"), []string{"GET", "http://127.0.0.1/?prefix=uploads/"}, []string{"Route:             default, the bucket itself, name/cos:GetBucket\n"}, nil},
		{"headers", staticCredentials(), []string{"-H", "Authorization: old" + testKey, "PUT", "-H", "cookie:c" + testKey, "http://127.0.0.1/uploads/a",
			"-H", "Content-Type:  text/plain ", "-H", "User-Agent: curl", "-H", "Transfer-Encoding: chunked"}, []string{
			"Not sent:          Authorization: cosproxy does not forward it\nNot sent:          Cookie: cosproxy",
			"Not signed:        User-Agent: intermediaries", "content-type=text%2Fplain&host=",
		}, []string{"content-length", "Not sent:          User-Agent"}},
		{"token in the query", staticCredentials(), []string{"GET", "http://127.0.0.1/uploads/a?x-cos-security-token=" + testToken + "&versionId=1"}, []string{"/uploads/a?versionId=1\n"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out := explainOutput(t, "", time.Unix(1893456000, 0), tt.environ, tt.args...)
			if code != exitOK {
				t.Errorf("exit code %d", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range append(tt.not, testKey, testToken, exampleCredentials.SecretKey) {
				if strings.Contains(out, not) {
					t.Errorf("has %q", not)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// TestExplain_SignatureOfSentRequest checks that the explained signature is that of the
// request that the proxy would send.
func TestExplain_SignatureOfSentRequest(t *testing.T) {
	r, err := parseRequest([]string{"PUT", "http://127.0.0.1/uploads/a?tagging&x=+", "-H", "Content-Length: 5", "-H", "X-Cos-Meta-A: 1", "-H", "Range: bytes=0-1"})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(staticCredentials("COSPROXY_ALLOW_ACTIONS=*"))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := cfg.explainRoutes(r)
	if err != nil {
		t.Fatal(err)
	}
	creds, _ := cfg.explainCredentials()
	now := time.Unix(1893456000, 0)
	o, err := dryRun(r, proxy.Options{Routes: routes}, creds, now)
	if err != nil || o.sent == nil {
		t.Fatalf("outcome %+v, error %v", o, err)
	}
	sent := o.sent.Header.Get("Authorization")
	e, err := signer.Explain(o.sent, creds, now)
	if err != nil || e.Authorization != sent || sent == "" {
		t.Errorf("error %v\n     sent %s\nexplained %s", err, sent, e.Authorization)
	}
}

func TestExplain_RejectedRequest(t *testing.T) {
	for _, tt := range []struct{ method, target, want string }{
		{"HEAD", "http://127.0.0.1/secret/a", "  403 AccessDenied: "},
		{"DELETE", "http://127.0.0.1/uploads/a", "COSPROXY_ALLOW_ACTIONS"},
		{"GET", "http://127.0.0.1/uploads/a?b=%zz", "  400 InvalidURI: "},
		{"PATCH", "http://127.0.0.1/uploads/a", "  405 MethodNotAllowed: "},
	} {
		code, out := explainOutput(t, "", time.Now(), staticCredentials(), tt.method, tt.target)
		if code != exitFailure || !strings.HasPrefix(out, "cosproxy itself would reject") || !strings.Contains(out, tt.want) {
			t.Errorf("%s %s: exit code %d, want 1 and %q in\n%s", tt.method, tt.target, code, tt.want, out)
		}
	}
}

func TestExplain_UsageErrors(t *testing.T) {
	const local, hidden = "http://127.0.0.1/uploads/a", "HIDDEN-VALUE"
	response := func(inner string) string { return "<Error><Code>C</Code>" + inner + "</Error>" }
	tests := []struct {
		name, stdin string
		environ     []string
		args        []string
		want        string
	}{
		{"no arguments", "", nil, nil, "expected one method, one URL"},
		{"no URL", "", nil, []string{"GET"}, "expected one method, one URL"},
		{"unknown flag", "", nil, []string{"-X", local}, "expected one method, one URL"},
		{"too many", "", nil, []string{"GET", local, hidden}, "expected one method, one URL"},
		{"-H at the end", "", nil, []string{"GET", local, "-H"}, "lacks a value"},
		{"-H without colon", "", nil, []string{"GET", local, "-H", hidden}, "lacks a name or colon"},
		{"-H without name", "", nil, []string{"GET", local, "-H", ":" + hidden}, "lacks a name or colon"},
		{"method", "", nil, []string{"G T", local}, "the method is invalid"},
		{"URL", "", nil, []string{"GET", "http://h/%zz?" + hidden}, "the URL is invalid"},
		{"method that is a secret", "", nil, []string{hidden + " x", local}, "the method is invalid"},
		{"URL whose password has a slash", "", nil, []string{"GET", "http://u:" + hidden + "/x@h/"}, "the URL is invalid"},
		{"URL with a secret in its host", "", nil, []string{"GET", "http://" + hidden + " x/"}, "the URL is invalid"},
		{"other scheme", "", nil, []string{"GET", "ftp://u:" + hidden + "@h/"}, "must start with http://"},
		{"URL without scheme", "", nil, []string{"GET", "127.0.0.1/" + hidden}, "must start with http://"},
		{"URL without host", "", nil, []string{"GET", "http:///" + hidden}, "must start with http://"},
		{"URL with user", "", nil, []string{"GET", "http://u:" + hidden + "@h/"}, "contains a user"},
		{"length", "", nil, []string{"GET", local, "-H", "Content-Length: -1"}, "not a number of bytes"},
		{"no bucket", "", nil, []string{"GET", local}, "set COSPROXY_BUCKET and COSPROXY_REGION"},
		{"unknown action", "", staticCredentials("COSPROXY_ALLOW_ACTIONS=GetObject"), []string{"GET", local}, `unknown action "GetObject"`},
		{"invalid endpoint", "", staticCredentials("COSPROXY_ENDPOINT=ftp://h"), []string{"GET", local}, "must begin with https://"},
		{"not XML", "hello " + hidden, nil, []string{"GET", local}, "not an error document of COS"},
		{"other XML", "<html/>", nil, []string{"GET", local}, "not an error document of COS"},
		{"truncated", "<Error><Code>" + hidden, nil, []string{"GET", local}, "not an error document of COS"},
		{"other error", response("<Message>no</Message>"), nil, []string{"GET", local}, `code "C", message "no") contains neither`},
		{"short FormatString", response("<FormatString>get\n/</FormatString>"), nil, []string{"GET", local}, "fewer than four lines"},
		{"short StringToSign", response("<StringToSign>sha1\n1;2</StringToSign>"), nil, []string{"GET", local}, "not have three lines"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out := explainOutput(t, tt.stdin, time.Now(), tt.environ, tt.args...)
			if code != exitUsage || !strings.Contains(out, tt.want) || strings.Contains(out, hidden) {
				t.Errorf("exit code %d, want 2; want %q in, and %q not in\n%s", code, tt.want, hidden, out)
			}
		})
	}
	broken := streams{iotest.ErrReader(errors.New("broken pipe")), io.Discard, io.Discard}
	if _, err := explain(t.Context(), []string{"GET", local}, staticCredentials(), broken, time.Now()); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("a failing standard input: error %v", err)
	}
}
