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

// explainOutput runs cosproxy explain at a given time.
func explainOutput(t *testing.T, stdin string, now time.Time, environ []string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code, err := explain(t.Context(), args, environ, streams{strings.NewReader(stdin), &out, io.Discard}, now)
	if err != nil {
		return exitUsage, err.Error()
	}
	return code, out.String()
}

// staticKey is an environment whose key signs as it is.
func staticKey(changes ...string) []string {
	return settingsFor(append([]string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_TOKEN=" + testToken}, changes...)...)
}

func TestExplainRequest(t *testing.T) {
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
		{"local address", staticKey(), []string{"GET", "http://127.0.0.1:4360/uploads/a%20b?versionId=2&response-expires=+&_=1"}, []string{
			"To COS:            GET https://" + explainHost + "/uploads/a%20b?versionId=2&response-expires=%20\n",
			"Route:             default, object key uploads/a b, name/cos:GetObject\n",
			"Key:               AKIDexample, that of the settings\n",
			"KeyTime:           1893455940;1893459540\n",
			"Signed headers:    host;x-cos-security-token\n", "Signed parameters: response-expires;versionid\n",
			"Not sent:          parameter _: COS does not document it, so cosproxy removes it\n",
			"  | get\n  | /uploads/a b\n  | response-expires=%20&versionid=2\n  | host=" + explainHost + "&x-cos-security-token=[masked]\n",
			"do not hash this text by hand",
		}, nil},
		{"bucket and region are enough", bucketOnly, []string{"PUT", "http://localhost:4360/a", "-H", "Content-Length: 13"}, []string{
			"Key:               " + exampleKey.SecretID + ", the example of the COS documentation, since the settings have none\n",
			"  | content-length=13&host=" + explainHost + "\n",
		}, []string{"[masked]", "by hand"}},
		{"no settings", nil, []string{"HEAD", "https://" + explainHost}, []string{
			"To COS:            HEAD https://" + explainHost + "/\n", "Route:             none of the settings\n", "Signed parameters: none\n",
		}, nil},
		{"Host of the bucket", staticKey(), []string{"GET", "http://127.0.0.1:4360/uploads/a", "-H", "Host: " + explainHost}, []string{"Route:             default, object key uploads/a,"}, nil},
		{"other bucket", staticKey(), []string{"DELETE", "https://other-1250000000.cos.ap-guangzhou.myqcloud.com/x"}, []string{"none of the settings"}, nil},
		{"own bucket", staticKey(), []string{"GET", "https://" + explainHost + "/uploads/x"}, []string{"Route:             default"}, nil},
		{"key that is fetched", settingsFor(), []string{"GET", "http://127.0.0.1/uploads/a"}, []string{"cosproxy fetches its own"}, []string{"AKIDexample"}},
		{"allowed host", staticKey("COSPROXY_ALLOWED_HOSTS=cosproxy.internal"), []string{"GET", "http://COSPROXY.internal/uploads/a"}, []string{"Route:             default"}, nil},
		{"path prefix", routes, []string{"GET", "http://127.0.0.1/photos/a"}, []string{"/img/a\n", "Route:             /photos/, object key img/a, ", "cosproxy fetches its own"}, nil},
		{"host of a route", routes, []string{"GET", "http://logs.internal/x"}, []string{"https://other-1250000000."}, nil},
		{"listing", staticKey("COSPROXY_ALLOW_ACTIONS=list"), []string{"GET", "http://127.0.0.1/?prefix=uploads/"}, []string{"Route:             default, the bucket itself, name/cos:GetBucket\n"}, nil},
		{"headers", staticKey(), []string{"-H", "Authorization: old" + testKey, "PUT", "-H", "cookie:c" + testKey, "http://127.0.0.1/uploads/a",
			"-H", "Content-Type:  text/plain ", "-H", "User-Agent: curl", "-H", "Transfer-Encoding: chunked"}, []string{
			"Not sent:          Authorization: cosproxy keeps it from COS\nNot sent:          Cookie: cosproxy",
			"Not signed:        User-Agent: intermediaries", "content-type=text%2Fplain&host=",
		}, []string{"content-length", "Not sent:          User-Agent"}},
		{"token in the query", staticKey(), []string{"GET", "http://127.0.0.1/uploads/a?x-cos-security-token=" + testToken + "&versionId=1"}, []string{"/uploads/a?versionId=1\n"}, nil},
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
			for _, not := range append(tt.not, testKey, testToken, exampleKey.SecretKey) {
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

// TestExplainIsWhatIsSent: the explanation is that of the request which the
// proxy would have sent, signature included.
func TestExplainIsWhatIsSent(t *testing.T) {
	r, err := parseRequest([]string{"PUT", "http://127.0.0.1/uploads/a?tagging&x=+", "-H", "Content-Length: 5", "-H", "X-Cos-Meta-A: 1", "-H", "Range: bytes=0-1"})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(staticKey("COSPROXY_ALLOW_ACTIONS=*"))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := cfg.explainRoutes(r)
	if err != nil {
		t.Fatal(err)
	}
	creds, _ := cfg.explainKey()
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

func TestExplainRefusal(t *testing.T) {
	for _, tt := range []struct{ method, target, want string }{
		{"HEAD", "http://127.0.0.1/secret/a", "  403 AccessDenied: "},
		{"DELETE", "http://127.0.0.1/uploads/a", "COSPROXY_ALLOW_ACTIONS"},
		{"GET", "http://127.0.0.1/uploads/a?b=%zz", "  400 InvalidURI: "},
		{"PATCH", "http://127.0.0.1/uploads/a", "  405 MethodNotAllowed: "},
	} {
		code, out := explainOutput(t, "", time.Now(), staticKey(), tt.method, tt.target)
		if code != exitFailure || !strings.HasPrefix(out, "cosproxy itself would refuse") || !strings.Contains(out, tt.want) {
			t.Errorf("%s %s: exit code %d, want 1 and %q in\n%s", tt.method, tt.target, code, tt.want, out)
		}
	}
}

func TestExplainUsageErrors(t *testing.T) {
	const local, hidden = "http://127.0.0.1/uploads/a", "HIDDEN-VALUE"
	answer := func(inner string) string { return "<Error><Code>C</Code>" + inner + "</Error>" }
	tests := []struct {
		name, stdin string
		environ     []string
		args        []string
		want        string
	}{
		{"nothing", "", nil, nil, "one method and one URL"},
		{"no URL", "", nil, []string{"GET"}, "one method and one URL"},
		{"unknown flag", "", nil, []string{"-X", local}, "one method and one URL"},
		{"too much", "", nil, []string{"GET", local, hidden}, "one method and one URL"},
		{"-H at the end", "", nil, []string{"GET", local, "-H"}, "nothing behind it"},
		{"-H without colon", "", nil, []string{"GET", local, "-H", hidden}, "no name and colon"},
		{"-H without name", "", nil, []string{"GET", local, "-H", ":" + hidden}, "no name and colon"},
		{"method", "", nil, []string{"G T", local}, "the method cannot be one"},
		{"URL", "", nil, []string{"GET", "http://h/%zz?" + hidden}, "the URL cannot be read"},
		{"method that is a secret", "", nil, []string{hidden + " x", local}, "the method cannot be one"},
		{"URL whose password has a slash", "", nil, []string{"GET", "http://u:" + hidden + "/x@h/"}, "the URL cannot be read"},
		{"URL with a secret in its host", "", nil, []string{"GET", "http://" + hidden + " x/"}, "the URL cannot be read"},
		{"other scheme", "", nil, []string{"GET", "ftp://u:" + hidden + "@h/"}, "has to begin with http://"},
		{"URL without scheme", "", nil, []string{"GET", "127.0.0.1/" + hidden}, "has to begin with http://"},
		{"URL without host", "", nil, []string{"GET", "http:///" + hidden}, "has to begin with http://"},
		{"URL with user", "", nil, []string{"GET", "http://u:" + hidden + "@h/"}, "has a user"},
		{"length", "", nil, []string{"GET", local, "-H", "Content-Length: -1"}, "not a number of bytes"},
		{"no bucket", "", nil, []string{"GET", local}, "set COSPROXY_BUCKET and COSPROXY_REGION"},
		{"wrong action", "", staticKey("COSPROXY_ALLOW_ACTIONS=GetObject"), []string{"GET", local}, `unknown action "GetObject"`},
		{"wrong endpoint", "", staticKey("COSPROXY_ENDPOINT=ftp://h"), []string{"GET", local}, "must begin with https://"},
		{"not XML", "hello " + hidden, nil, []string{"GET", local}, "not an error document of COS"},
		{"other XML", "<html/>", nil, []string{"GET", local}, "not an error document of COS"},
		{"cut off", "<Error><Code>" + hidden, nil, []string{"GET", local}, "not an error document of COS"},
		{"other error", answer("<Message>no</Message>"), nil, []string{"GET", local}, `is "C", "no". It has neither`},
		{"short FormatString", answer("<FormatString>get\n/</FormatString>"), nil, []string{"GET", local}, "fewer than four lines"},
		{"short StringToSign", answer("<StringToSign>sha1\n1;2</StringToSign>"), nil, []string{"GET", local}, "not three lines"},
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
	if _, err := explain(t.Context(), []string{"GET", local}, staticKey(), broken, time.Now()); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("a standard input that breaks: error %v", err)
	}
}
