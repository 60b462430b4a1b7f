package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
	"cosproxy/signer"
)

const explainTarget = "http://127.0.0.1/uploads/a%2Fb?x-cos-traffic-limit=2&response-expires=%2B"

// explainGet is the request for these tests.
var explainGet = []string{"GET", explainTarget, "-H", "Range: bytes=0-1", "-H", "X-Cos-Meta-A: 1"}

// rejection signs explainGet, changes it as a proxy might, and returns the response of
// COS.
func rejection(t *testing.T, change func(*http.Request)) string {
	t.Helper()
	cos, err := cosemu.Start(cosemu.Options{Buckets: []string{"examplebucket-1250000000", "otherbucket-1250000000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cos.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := parseRequest(explainGet)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(staticCredentials())
	if err != nil {
		t.Fatal(err)
	}
	routes, err := cfg.explainRoutes(r)
	if err != nil {
		t.Fatal(err)
	}
	creds := signer.Credentials{SecretID: cos.SecretID(), SecretKey: cos.SecretKey(), Token: testToken}
	o, err := dryRun(r, proxy.Options{Routes: routes}, creds, time.Now())
	if err != nil || o.sent == nil {
		t.Fatalf("outcome %+v, error %v", o, err)
	}
	o.sent.URL.Scheme = "http"
	change(o.sent)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", cos.COSAddr())
	}}
	resp, err := transport.RoundTrip(o.sent)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "SignatureDoesNotMatch") {
		t.Fatalf("COS responded with %d %s, error %v", resp.StatusCode, body, err)
	}
	return string(body)
}

func TestMismatch_Differences(t *testing.T) {
	for _, tt := range mismatchCases() {
		t.Run(tt.name, func(t *testing.T) {
			response := rejection(t, tt.change)
			if tt.edit != nil {
				response = tt.edit(response)
			}
			code, out := explainOutput(t, response, time.Now(), staticCredentials(), tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range []string{testKey, testToken, "Note:"} {
				if strings.Contains(out, not) {
					t.Errorf("has %q", not)
				}
			}
			if t.Failed() {
				t.Logf("%s\n%s", out, response)
			}
		})
	}
}

// TestMismatch_WithoutCredentials checks that explain uses the token and the KeyTime of
// the response if the settings contain no credentials.
func TestMismatch_WithoutCredentials(t *testing.T) {
	response := rejection(t, spoil)
	environ := []string{"COSPROXY_BUCKET=examplebucket-1250000000", "COSPROXY_REGION=ap-guangzhou"}
	code, out := explainOutput(t, "HTTP/1.1 403 Forbidden\r\nx: a&b\r\n\r\n"+response, time.Now().Add(3*time.Hour), environ, explainGet...)
	if code != exitOK || strings.Contains(out, testToken) {
		t.Errorf("exit code %d, want 0, or the output contains the token", code)
	}
	for _, want := range []string{"the session token is from the response\n", "No difference", "Note: KeyTime ("} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// maskToken masks the token in a response, as cosproxy does.
func maskToken(response, token string) string {
	for _, form := range []string{token, url.QueryEscape(token)} {
		response = strings.ReplaceAll(response, form, strings.Repeat("*", len(form)))
	}
	return response
}

// TestMismatch_MaskedToken checks that explain accepts responses that cosproxy forwarded.
func TestMismatch_MaskedToken(t *testing.T) {
	bucket := []string{"COSPROXY_BUCKET=examplebucket-1250000000", "COSPROXY_REGION=ap-guangzhou"}
	dropped := func(r *http.Request) { r.Header.Del("Range") }
	other := strings.Repeat("o", len(url.QueryEscape(testToken)))
	hasOther := func(r *http.Request) { r.Header.Set("X-Cos-Security-Token", other) }
	longer := func(r *http.Request) { r.Header.Set("X-Cos-Security-Token", other+"o") }
	for _, tt := range []struct {
		name    string
		change  func(*http.Request)
		token   string // in the response
		environ []string
		code    int
		want    string
	}{
		{"same token", spoil, testToken, staticCredentials(), exitOK, "No difference"},
		{"another as long", hasOther, other, staticCredentials(), exitFailure, "StringToSign, line 3, the SHA-1 of HttpString:"},
		{"another", longer, other + "o", staticCredentials(), exitFailure, "COS:  x-cos-security-token=[masked], another value"},
		{"no token here", spoil, testToken, bucket, exitOK, "is compared.\n\nNo difference"},
		{"no token here, and a header", dropped, testToken, bucket, exitFailure, "the header range:\n  here: range=bytes%3D0-1\n  COS:  (missing)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response := maskToken(rejection(t, tt.change), tt.token)
			if !strings.Contains(response, "x-cos-security-token=***") {
				t.Fatalf("the token is not masked:\n%s", response)
			}
			code, out := explainOutput(t, response, time.Now(), tt.environ, explainGet...)
			if code != tt.code || !strings.Contains(out, tt.want) || strings.Contains(out, testToken) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, tt.code, tt.want, out)
			}
		})
	}
}

// TestMismatch_ExpiringCredentials checks that KeyTime may end with the credentials.
func TestMismatch_ExpiringCredentials(t *testing.T) {
	now := time.Unix(1893456000, 0)
	for window, cosproxys := range map[string]bool{
		"1893455880;1893459480": true,  // an hour
		"1893455880;1893457000": true,  // credentials expire
		"1893455880;1893459481": false, // longer than by cosproxy
		"1893455881;1893459481": false, // does not start at a full minute
		"1893455880;1893455900": false, // ends before the time of the signature
	} {
		r := []string{"GET", "http://127.0.0.1/uploads/a"}
		httpString := "get\n/uploads/a\n\nhost=" + explainHost + "&amp;x-cos-security-token=t\n"
		response := "<Error><StringToSign>sha1\n" + window + "\nhash</StringToSign><FormatString>" + httpString + "</FormatString></Error>"
		bucket := []string{"COSPROXY_BUCKET=examplebucket-1250000000", "COSPROXY_REGION=ap-guangzhou"}
		_, out := explainOutput(t, response, now, bucket, r...)
		if differs := strings.Contains(out, "line 2, KeyTime"); differs == cosproxys {
			t.Errorf("%s: KeyTime differs: %t\n%s", window, differs, out)
		}
	}
}

// FuzzMismatch checks that explain handles any response and shows no token.
func FuzzMismatch(f *testing.F) {
	f.Add("sha1\n1;2\n3\n", "get\n/\n\nhost=h\n")
	f.Add("", "get\n/a\nb\n\n\n")
	f.Add("\n\n", "\n\n\n&&=&x-cos-security-token=%zz")
	f.Add("sha1\n1;2\n3\n", "get\n/\n\nhost=h&x-cos-security-token=****\n")
	f.Add("sha1\n9223372036854775807;-9223372036854775808\n", "")
	f.Fuzz(func(t *testing.T, toSign, format string) {
		m := mismatch{StringToSign: toSign, FormatString: format}
		if m.check() != nil {
			return
		}
		creds, now := m.signingInputs(exampleCredentials, time.Unix(1893456000, 0))
		req, err := http.NewRequest(http.MethodGet, "https://"+explainHost+"/a?b=1", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		e, err := signer.Explain(req, creds, now)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		code := m.compare(&out, e, now)
		if same := strings.Contains(out.String(), "No difference"); same != (code == exitOK) {
			t.Errorf("exit code %d with %s", code, &out)
		}
		if len(creds.Token) > 20 && strings.Contains(out.String(), creds.Token) {
			t.Errorf("shows the token %q in %s", creds.Token, &out)
		}
	})
}

// mismatchCase is a request that is signed, changed, and rejected by COS.
type mismatchCase struct {
	name   string
	args   []string              // of explain
	change func(*http.Request)   // after the signature
	edit   func(s string) string // of the response; nil means none
	code   int
	want   []string
}

func mismatchCases() []mismatchCase {
	get := explainGet
	query := func(q string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = q } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	without := func(element string) func(string) string {
		return func(s string) string {
			head, rest, _ := strings.Cut(s, "<"+element+">")
			_, tail, _ := strings.Cut(rest, "</"+element+">")
			return head + tail
		}
	}
	dropRange := func(r *http.Request) { r.Header.Del("Range") }
	return []mismatchCase{
		{"method", get, func(r *http.Request) { r.Method = "DELETE" }, nil, 1, []string{"line 1, the method:\n  here: get\n  COS:  delete\nA proxy"}},
		{"path", get, func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/uploads/a%2Fb", "" }, nil, 1,
			[]string{"line 2, the path:\n  here: /uploads/a/b\n  COS:  /uploads/a%2Fb\n", "encoded twice"}},
		{"raw plus in the path", []string{"GET", "http://127.0.0.1/uploads/a+b%2Fc", "-H", "Range: bytes=0-1", "-H", "X-Cos-Meta-A: 1"}, func(r *http.Request) {
			r.URL.Path, r.URL.RawPath = "/uploads/a+b/c", "/uploads/a+b%2Fc"
			r.URL.RawQuery = ""
		}, nil, 1, []string{"line 2, the path:\n  here: /uploads/a+b/c\n  COS:  /uploads/a b/c\n", "as %2B"}},
		{"parameter changed", get, query("x-cos-traffic-limit=2&response-expires=+"), nil, 1, []string{"the parameter response-expires:\n  here: response-expires=%2B\n  COS:  response-expires=%20\n", "double encoding"}},
		{"parameter dropped", get, query("response-expires=%2B"), nil, 1, []string{"the parameter x-cos-traffic-limit:\n  here: x-cos-traffic-limit=2\n  COS:  (missing)\n", "removed the parameter"}},
		{"parameter not given", []string{"GET", strings.Replace(explainTarget, "x-cos-traffic-limit=2&", "", 1), "-H", "Range: bytes=0-1", "-H", "X-Cos-Meta-A: 1"}, spoil, nil, 1,
			[]string{"the parameter x-cos-traffic-limit:\n  here: (missing)\n  COS:  x-cos-traffic-limit=2\n", "the URL given here lacks it"}},
		{"header changed", get, header("X-Cos-Meta-A", "2"), nil, 1, []string{"the header x-cos-meta-a:\n  here: x-cos-meta-a=1\n  COS:  x-cos-meta-a=2\n"}},
		{"header dropped", get, dropRange, nil, 1, []string{"the header range:\n  here: range=bytes%3D0-1\n  COS:  (missing)\n", "removed the header"}},
		{"header not given", get[:4], spoil, nil, 1, []string{"the header x-cos-meta-a:\n  here: (missing)\n  COS:  x-cos-meta-a=1\n", "Add it here with -H"}},
		{"host", get, func(r *http.Request) { r.Host = strings.Replace(r.Host, "example", "other", 1) }, nil, 1,
			[]string{"the header host:\n  here: host=examplebucket-", "  COS:  host=otherbucket-", "rewrote Host"}},
		{"length", []string{"PUT", explainTarget, "-H", "Range: bytes=0-1", "-H", "X-Cos-Meta-A: 1", "-H", "Content-Length: 4"}, func(r *http.Request) {
			r.Method = http.MethodPut
			dropRange(r)
		}, nil, 1,
			[]string{"the header content-length:\n  here: content-length=4\n  COS:  (missing)\n", "-H 'Content-Length: N'"}},
		{"token", get, header("X-Cos-Security-Token", "OTHER-"+testToken), nil, 1,
			[]string{"the header x-cos-security-token:\n  here: x-cos-security-token=[masked]\n  COS:  x-cos-security-token=[masked], another value\n"}},
		{"no token", get, func(r *http.Request) { r.Header.Del("X-Cos-Security-Token") }, nil, 1, []string{"  COS:  (missing)\n", "lacked the session token"}},
		{"KeyTime", get, func(r *http.Request) {
			start := strings.Split(r.Header.Get("Authorization"), "&")[2][len("q-sign-time="):][:10]
			n, _ := strconv.Atoi(start)
			header("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), start, strconv.Itoa(n+1)))(r)
		}, nil, 1, []string{"StringToSign, line 2, KeyTime:\n", "past cosproxy"}},
		{"only StringToSign", get, header("Range", "bytes=0-2"), without("FormatString"), 1,
			[]string{"StringToSign, line 3, the SHA-1 of HttpString:\n", "does not show which"}},
		{"only FormatString", get, header("Range", "bytes=0-2"), without("StringToSign"), 1, []string{"the header range:"}},
		{"two responses", get, spoil, func(s string) string {
			return strings.Replace(s, "<StringToSign>sha1", "<StringToSign>md5", 1)
		}, 1, []string{"line 1, the algorithm:\n  here: sha1\n  COS:  md5\n"}},
		{"SecretKey", get, spoil, nil, 0, []string{"No difference", "does not belong to the SecretId"}},
	}
}

// spoil changes only the signature.
func spoil(r *http.Request) {
	a := r.Header.Get("Authorization")
	r.Header.Set("Authorization", a[:len(a)-40]+strings.Repeat("0", 40))
}
