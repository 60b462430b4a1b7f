package signer_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cosproxy/signer"
)

// TestExplain_Vectors compares Explain with Sign for the requests of all vectors, and with the
// strings of the vectors if their source signs the same headers.
func TestExplain_Vectors(t *testing.T) {
	t.Parallel()
	var s signer.Signer
	same := 0
	for _, v := range readVectors(t) {
		req, token := v.request(t)
		creds := signer.Credentials{SecretID: v.SecretID, SecretKey: v.SecretKey, Token: token}
		got, err := signer.ExplainAt(req, creds, v.KeyTime)
		if err != nil {
			t.Errorf("%s: %v", v.ID, err)
			continue
		}
		if err := s.SignAt(req, creds, v.KeyTime); err != nil {
			t.Errorf("%s: %v", v.ID, err)
			continue
		}
		if want := req.Header.Get("Authorization"); got.Authorization != want {
			t.Errorf("%s:\n explained %s\n    signed %s", v.ID, got.Authorization, want)
		}
		if v.Authorization != got.Authorization {
			continue
		}
		same++
		stated := []string{v.KeyTime, v.HTTPString, v.StringToSign, v.HeaderList, v.ParamList, v.Signature}
		if parts := []string{got.KeyTime, got.HTTPString, got.StringToSign, got.HeaderList, got.ParamList, got.Signature}; !slices.Equal(parts, stated) {
			t.Errorf("%s:\n got %+q\nwant %+q", v.ID, parts, stated)
		}
	}
	if same < 60 {
		t.Errorf("%d vectors were compared with their source, want at least 60", same)
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("GET", "/obj", "acl", "Range", "bytes=0-1", "token")
	f.Add("get", "", "", "", "", "")
	f.Add("PUT", "/a\nb", "a=b+c;d&e", "x-cos-security-Token", " v ", " t\n")
	f.Add("POST", "/=&", "q-signature=1", "content-length", "0", "")
	f.Add("GET", "x", "a=%zz", "authorization", "old", "t")
	var s signer.Signer
	f.Fuzz(func(t *testing.T, method, path, query, name, value, token string) {
		req := &http.Request{Method: method, Host: bucketHost, URL: &url.URL{Path: path, RawQuery: query},
			Header: http.Header{name: {value}, "X-Cos-Meta-A": {"b", value}}}
		creds := tempCreds
		creds.Token = token
		before := maps.Clone(req.Header)
		got, err := signer.Explain(req, creds, now)
		if !maps.EqualFunc(req.Header, before, slices.Equal) {
			t.Fatalf("Explain changed the header to %q", req.Header)
		}
		signErr := s.Sign(req, creds, now)
		if fmt.Sprint(err) != fmt.Sprint(signErr) {
			t.Fatalf("Explain: %v; Sign: %v", err, signErr)
		}
		if err != nil {
			return
		}
		if want := req.Header.Get("Authorization"); got.Authorization != want {
			t.Errorf("explained %s\n   signed %s", got.Authorization, want)
		}
		if !strings.HasSuffix(got.Authorization, "&q-header-list="+got.HeaderList+"&q-url-param-list="+got.ParamList+"&q-signature="+got.Signature) {
			t.Errorf("the parts %s, %s, %s do not match %s", got.HeaderList, got.ParamList, got.Signature, got.Authorization)
		}
		if !isToken(method) {
			return // net/http does not send it
		}
		lines, ok := signer.HTTPLines(got.HTTPString)
		if joined := strings.Join(lines[:], "\n") + "\n"; !ok || joined != got.HTTPString || lines[1] != cmp.Or(path, "/") {
			t.Errorf("the lines %q do not match %q", lines, got.HTTPString)
		}
	})
}

func TestExplain_Errors(t *testing.T) {
	t.Parallel()
	req := newRequest(t, http.MethodGet, "/obj", nil)
	expired := tempCreds
	expired.Expires = now
	if _, err := signer.Explain(req, expired, now); !errors.Is(err, signer.ErrExpired) {
		t.Errorf("error %v, want ErrExpired", err)
	}
	if _, err := signer.Explain(req, signer.Credentials{}, now); !errors.Is(err, signer.ErrMissingSecretID) {
		t.Errorf("error %v, want ErrMissingSecretID", err)
	}
	if _, err := signer.Explain(&http.Request{}, tempCreds, now); !errors.Is(err, signer.ErrRequest) {
		t.Errorf("error %v, want ErrRequest", err)
	}
}

func TestExplain_Unsigned(t *testing.T) {
	t.Parallel()
	req := newRequest(t, http.MethodGet, "/obj", nil)
	req.Header = http.Header{
		"Range": {"bytes=0-1"}, "X-Cos-Acl": {"private"}, "Authorization": {"old"}, "x-cos-security-token": {"old"},
		"Host": {"other"}, "Date": {"now"}, "User-Agent": {"curl"}, "Expect": {"100-continue"}, "Te": {"trailers"},
		"Accept": {"*/*"}, "Accept-Encoding": nil,
	}
	got, err := signer.Explain(req, tempCreds, now)
	if err != nil {
		t.Fatal(err)
	}
	if want := "host;range;x-cos-acl;x-cos-security-token"; got.HeaderList != want {
		t.Errorf("signed %s, want %s", got.HeaderList, want)
	}
	want := map[string]string{
		"Accept": "COS does not require", "Date": "KeyTime", "Expect": "decide", "Host": "request's Host",
		"Te": "hop-by-hop", "User-Agent": "may rewrite",
	}
	for _, u := range got.Unsigned {
		if reason := want[u.Name]; reason == "" || !strings.Contains(u.Reason, reason) {
			t.Errorf("%s is not signed because %q, want %q in it", u.Name, u.Reason, reason)
		}
		delete(want, u.Name)
	}
	if len(want) > 0 || !slices.IsSortedFunc(got.Unsigned, func(a, b signer.UnsignedHeader) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("missing %v in, or wrong order of, %v", want, got.Unsigned)
	}
}

// TestExplanation_ShowsNoSecret prints an Explanation in all ways.
func TestExplanation_ShowsNoSecret(t *testing.T) {
	t.Parallel()
	req := newRequest(t, http.MethodPut, "/obj?x-cos-security-token=queryTOKEN", nil)
	req.Header.Set("X-Cos-Server-Side-Encryption-Customer-Key", "customerKEY")
	creds := tempCreds
	creds.Token = "sessionTOKEN"
	e, err := signer.Explain(req, creds, now)
	if err != nil {
		t.Fatal(err)
	}
	signKey, err := signer.Build("GET", "/", "", nil, creds.SecretKey, e.KeyTime)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "e", e)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "e", e)
	for _, shown := range []string{e.String(), fmt.Sprintf("%v %+v %#v %s %q", e, &e, e, e, e), log.String()} {
		for _, secret := range []string{"queryTOKEN", "customerKEY", creds.SecretKey, creds.Token, signKey.SignKey} {
			if strings.Contains(shown, secret) {
				t.Errorf("shows %s:\n%s", secret, shown)
			}
		}
		if !strings.Contains(shown, "x-cos-security-token=[masked]") || !strings.Contains(shown, e.Signature) {
			t.Errorf("does not show the signature with a masked token:\n%s", shown)
		}
	}
	fields, err := json.Marshal(e) // the fields are not masked
	if err != nil || strings.Contains(string(fields), creds.SecretKey) || strings.Contains(string(fields), signKey.SignKey) {
		t.Errorf("the fields hold a secret, or error %v", err)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                               "",
		"/plain path":                    "/plain path",
		"/中文":                            "/中文",
		"/a\nb\x1b[2J":                   `"/a\nb\x1b[2J"`,
		"/\xff":                          `"/\xff"`,
		"x-cos-security-token=a%2Fb":     "x-cos-security-token=[masked]",
		"x-cos-security-token=":          "x-cos-security-token=",
		"a=1&x-cos-security-token=t&b=2": "a=1&x-cos-security-token=[masked]&b=2",
		"x-ci-security-token=t&x-cos-security-token=t":                      "x-ci-security-token=[masked]&x-cos-security-token=[masked]",
		"x-amz-security-token:a/b=":                                         "x-amz-security-token:[masked]",
		"x-amz-security-token=a%2Fb":                                        "x-amz-security-token=[masked]",
		"x-amz-server-side-encryption-customer-key:k=":                      "x-amz-server-side-encryption-customer-key:[masked]",
		"x-amz-meta-a:x-amz-security-token:t":                               "x-amz-meta-a:x-amz-security-token:t",
		"X-Cos-Security-Token=t":                                            "X-Cos-Security-Token=[masked]",
		"x-cos-copy-source-server-side-encryption-customer-key=k":           "x-cos-copy-source-server-side-encryption-customer-key=[masked]",
		"x-cos-server-side-encryption-customer-key-md5=m&x-cos-meta-token=": "x-cos-server-side-encryption-customer-key-md5=m&x-cos-meta-token=",
	} {
		if got := signer.Redact(line); got != want {
			t.Errorf("Redact(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestHTTPLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][4]string{
		"get\n/a\n\nhost=h\n":      {"get", "/a", "", "host=h"},
		"get\n/a\n\nhost=h":        {"get", "/a", "", "host=h"},
		"put\n/a\nb\nacl=\nhost=h": {"put", "/a\nb", "acl=", "host=h"},
		"put\n/\nacl=\n\n":         {"put", "/", "acl=", ""},
	} {
		if got, ok := signer.HTTPLines(text); got != want || !ok {
			t.Errorf("HTTPLines(%q) = %q, %t, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "get", "get\n", "get\n/a", "get\n/a\n"} {
		if got, ok := signer.HTTPLines(text); ok {
			t.Errorf("HTTPLines(%q) = %q, want an error", text, got)
		}
	}
}
