package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// cosAnswer is what the COS of a check says.
type cosAnswer struct {
	status  int
	code    string // in the body; "": no body
	msg     string
	header  map[string]string
	foreign bool          // without COS's request id
	offset  time.Duration // of COS's clock from ours
}

func (a cosAnswer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().Add(a.offset).UTC().Format(http.TimeFormat))
	if !a.foreign {
		w.Header().Set("x-cos-request-id", "cos-1")
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	if a.code != "" && r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", a.code, a.msg)
	}
}

// checked runs cosproxy check and returns its exit code and output.
func checked(t *testing.T, args []string, environ ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), append([]string{"check"}, args...), environ, streams{out: &out, err: &errs})
	noSecrets(t, out.String()+errs.String())
	return code, cmp.Or(out.String(), errs.String())
}

// checkOne checks the one route of settingsFor against answers and returns what
// --json says of it.
func checkOne(t *testing.T, cos http.Handler, environ ...string) report {
	t.Helper()
	server, sts := newServer(t, httptest.NewServer, cos.ServeHTTP), newSTS(t, httptest.NewServer)
	code, out := checked(t, []string{"--json"}, settingsFor(append([]string{
		"COSPROXY_STS_ENDPOINT=" + sts.URL, "COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com",
		"COSPROXY_CONNECT_TO=" + server.Listener.Addr().String(),
	}, environ...)...)...)
	var got struct {
		OK     bool
		Routes []report
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	r := got.Routes[0]
	if len(got.Routes) != 1 || got.OK != r.OK || (code == exitOK) != r.OK || r.OK != (r.Code == "") {
		t.Errorf("exit code %d and contradictions in %s", code, out)
	}
	return r
}

func TestCheckFaults(t *testing.T) {
	refuse := func(code, msg string) cosAnswer { return cosAnswer{status: 403, code: code, msg: msg} }
	head := "COSPROXY_ALLOW_ACTIONS=name/cos:HeadBucket"
	tests := []struct {
		name    string
		answer  cosAnswer
		environ []string
		want    string   // Code
		says    []string // regular expressions for Problem and Advice
	}{
		{"absent object", cosAnswer{status: 404, code: "NoSuchKey"}, nil, "", nil},
		{"object there", cosAnswer{status: 206}, nil, "", nil},
		{"no bucket", cosAnswer{status: 404, code: "NoSuchBucket"}, nil, "bucket", []string{"no bucket examplebucket-1250000000 in ap-guangzhou", "check COSPROXY_BUCKET and COSPROXY_REGION"}},
		{"no bucket, by HEAD", cosAnswer{status: 404}, []string{head}, "bucket", []string{"no bucket"}},
		{"other region", cosAnswer{status: 404, code: "NoSuchBucket", header: map[string]string{"x-cos-bucket-region": "ap-beijing"}}, nil, "region", []string{"is in ap-beijing, not in ap-guangzhou", "set COSPROXY_REGION=ap-beijing"}},
		{"other region, by HEAD", cosAnswer{status: 403, header: map[string]string{"x-cos-bucket-region": "ap-beijing"}}, []string{head}, "region", nil},
		{"denied", refuse("AccessDenied", "Access Denied."), nil, "denied", []string{"denies name/cos:GetObject on examplebucket-1250000000 to key AKIDtmp", `the user whose pair asks STS \(TENCENTCLOUD_SECRET_ID\)`}},
		{"role denied", refuse("AccessDenied", ""), []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r"}, "denied", []string{"the role in COSPROXY_ROLE_ARN"}},
		{"web identity denied", refuse("AccessDenied", ""), oidc(t), "denied", []string{"the role in TKE_ROLE_ARN"}},
		{"given key denied", refuse("AccessDenied", ""), []string{"COSPROXY_SOURCE=static"}, "denied", []string{"to key AKIDexample", "the owner of the key"}},
		{"denied, by HEAD", cosAnswer{status: 403}, []string{head}, "denied", []string{"name/cos:HeadBucket"}},
		{"key unknown", refuse("InvalidAccessKeyId", "no such id"), nil, "credentials_rejected", []string{"rejected key AKIDtmp: InvalidAccessKeyId: no such id"}},
		{"key expired", cosAnswer{status: 400, code: "ExpiredToken", msg: "expired"}, nil, "credentials_rejected", nil},
		{"key expired by another name", refuse("AccessDenied", "Request has expired"), nil, "credentials_rejected", nil},
		{"key unknown by another name", refuse("AccessDenied", "InvalidAccessKeyId"), nil, "credentials_rejected", nil},
		{"key unknown by another name, nothing to try", refuse("AccessDenied", "InvalidAccessKeyId"), []string{"COSPROXY_ALLOW_ACTIONS=delete"}, "credentials_rejected", nil},
		{"clock by another name", refuse("AccessDenied", "RequestTimeTooSkewed"), nil, "clock", nil},
		{"signature", refuse("SignatureDoesNotMatch", "no"), nil, "signature", []string{"another signature"}},
		{"clock behind", cosAnswer{status: 403, code: "RequestTimeTooSkewed", offset: time.Hour}, nil, "clock", []string{`COS refused .*: this machine's clock is (3599|3600) s behind`, "NTP"}},
		{"clock ahead, by HEAD", cosAnswer{status: 403, offset: -time.Hour}, []string{head}, "clock", []string{`(3600|3601) s ahead`}},
		{"clock ahead, as expiry", cosAnswer{status: 403, code: "AccessDenied", msg: "Request has expired", offset: -time.Hour}, nil, "clock", nil},
		{"something between", cosAnswer{status: 403, code: "AccessDenied", foreign: true}, nil, "not_cos", []string{"answer 403 does not come from COS", "COSPROXY_ENDPOINT, COSPROXY_CONNECT_TO"}},
		{"a portal between", cosAnswer{status: 302, foreign: true}, nil, "not_cos", nil},
		{"something between that has no objects", cosAnswer{status: 404, foreign: true}, []string{"COSPROXY_ALLOW_ACTIONS=name/cos:HeadObject"}, "not_cos", nil},
		{"other region, nothing to try", cosAnswer{status: 403, code: "AccessDenied", header: map[string]string{"x-cos-bucket-region": "ap-beijing"}}, []string{"COSPROXY_ALLOW_ACTIONS=delete"}, "region", nil},
		{"key expired, nothing to try", refuse("AccessDenied", "Request has expired"), []string{"COSPROXY_ALLOW_ACTIONS=delete"}, "credentials_rejected", nil},
		{"COS in trouble", cosAnswer{status: 503, code: "SlowDown", msg: "slow"}, nil, "cos_error", []string{"COS answered 503 SlowDown: slow"}},
		{"COS in trouble, by HEAD", cosAnswer{status: 500}, []string{head}, "cos_error", []string{"COS answered 500$"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := checkOne(t, tt.answer, tt.environ...)
			text := r.Problem + "\n" + r.Advice
			if r.Code != tt.want || r.Status != tt.answer.status || r.OK == (r.Problem+r.Advice != "") {
				t.Errorf("got %+v, want code %q", r, tt.want)
			}
			for _, want := range tt.says {
				if !regexp.MustCompile("(?m)" + want).MatchString(text) {
					t.Errorf("no match for %s in:\n%s", want, text)
				}
			}
		})
	}
}

// TestCheckRequests holds that a check changes nothing, whatever is allowed.
func TestCheckRequests(t *testing.T) {
	absent := `uploads%2Fcosproxy-check-[A-Z0-9]+`
	tests := []struct {
		actions, prefixes string
		want              string // the request, as a regular expression
		code              string // COS's answer
		note              string
	}{
		{"list,read", "uploads/*", `GET /\?max-keys=1&prefix=uploads%2F`, "", ""},
		{"read,list", "*", `GET /\?max-keys=1`, "", ""},
		{"*", "uploads/*", `GET /\?max-keys=1&prefix=uploads%2F`, "", ""},
		{"*", "a.txt", "GET /a.txt", "NoSuchKey", ""},
		{"read", "a.txt,uploads/*", "GET /" + absent, "NoSuchKey", ""},
		{"write", "uploads/*", "GET /" + absent + `\?uploadId=cosproxy-check`, "NoSuchUpload", ""},
		{"name/cos:AbortMultipartUpload", "a.txt", `DELETE /a.txt\?uploadId=cosproxy-check`, "NoSuchUpload", ""},
		{"name/cos:HeadObject", "uploads/*", "HEAD /" + absent, "NoSuchKey", "the answer to HEAD does not tell"},
		{"name/cos:HeadBucket", "uploads/*", "HEAD /", "", ""},
		{"delete", "uploads/*", `GET /\?max-keys=1&prefix=uploads%2F`, "AccessDenied", "COS accepted the key. No harmless request"},
		{"name/cos:PutObject", "a.txt", `GET /\?max-keys=1`, "AccessDenied", "COS accepted the key"},
	}
	for _, tt := range tests {
		t.Run(tt.actions+" "+tt.prefixes, func(t *testing.T) {
			asked := make(chan string, 1)
			r := checkOne(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Method + " " + r.RequestURI
				if !strings.Contains(r.Header.Get("Authorization"), "q-ak="+tmpID) || r.Header.Get("x-cos-security-token") != tmpToken {
					t.Error("the request is not signed with the key")
				}
				status := map[string]int{"": 200, "AccessDenied": 403}[tt.code]
				if status == 0 {
					status = 404
				}
				cosAnswer{status: status, code: tt.code}.ServeHTTP(w, r)
			}), "COSPROXY_ALLOW_ACTIONS="+tt.actions, "COSPROXY_ALLOW_PREFIXES="+tt.prefixes)
			if got := <-asked; !regexp.MustCompile("^" + tt.want + "$").MatchString(got) {
				t.Errorf("asked %s, want %s", got, tt.want)
			}
			if !r.OK || !strings.HasPrefix(r.Note, tt.note) || (r.Note == "") != (tt.note == "") {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestCheckConnections(t *testing.T) {
	ok := cosAnswer{status: 200}
	trusted := newServer(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // clients break off on purpose
		s.StartTLS()
		return s
	}, ok.ServeHTTP)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	tests := []struct {
		name    string
		environ []string
		want    string
		says    string
	}{
		{"refused", []string{"COSPROXY_CONNECT_TO=" + closed.Addr().String()}, "unreachable", "connection to COSPROXY_CONNECT_TO=127.0.0.1:"},
		{"no such name", []string{"COSPROXY_CONNECT_TO=", "COSPROXY_ENDPOINT=http://cosproxy-check.invalid"}, "dns", "the name cosproxy-check.invalid cannot be resolved"},
		{"certificate", []string{"COSPROXY_ENDPOINT=https://example.com", "COSPROXY_CONNECT_TO=" + trusted.Listener.Addr().String()}, "tls", "the certificate at COSPROXY_CONNECT_TO="},
		{"no TLS", []string{"COSPROXY_ENDPOINT=https://example.com"}, "tls", "does not speak TLS"},
		{"certificate that is known", []string{"COSPROXY_ENDPOINT=https://example.com", "COSPROXY_CONNECT_TO=" + trusted.Listener.Addr().String(), "COSPROXY_CA_FILE=" + certificateOf(t, trusted)}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := checkOne(t, ok, tt.environ...)
			if r.Code != tt.want || !strings.Contains(r.Problem, tt.says) || r.OK == (r.Advice != "") {
				t.Errorf("got %+v, want code %q", r, tt.want)
			}
		})
	}
}

func TestCheckKeyFaults(t *testing.T) {
	refuse := func(code string, offset time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
			fmt.Fprintf(w, `{"Response":{"Error":{"Code":%q,"Message":"refused"},"RequestId":"sts-1"}}`, code)
		}
	}
	tests := []struct {
		name    string
		sts     http.HandlerFunc
		want    string
		problem string // regular expressions
		advice  string
	}{
		{"pair unknown", refuse("AuthFailure.SecretIdNotFound", 0), "no_credentials", `^AuthFailure\.SecretIdNotFound: refused$`, "check the long-lived SecretId"},
		{"clock ahead", refuse("AuthFailure.SignatureExpire", -10*time.Minute), "clock", `^STS refused the time of the request: this machine's clock is 60\d s ahead$`, "NTP"},
		{"a key that lives too long", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":%q,"TmpSecretId":%q,"TmpSecretKey":%q},"ExpiredTime":%d}}`, tmpToken, tmpID, tmpKey, time.Now().Add(100*time.Hour).Unix())
		}, "no_credentials", "exceeds every temporary lifetime", "check the settings of source sts"},
		{"no STS", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hello", http.StatusNotFound) }, "no_credentials", "HTTP 404", "."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sts := newServer(t, httptest.NewServer, tt.sts)
			r := checkOne(t, http.NotFoundHandler(), "COSPROXY_STS_ENDPOINT="+sts.URL)
			if r.Code != tt.want || !regexp.MustCompile(tt.problem).MatchString(r.Problem) || !regexp.MustCompile(tt.advice).MatchString(r.Advice) {
				t.Errorf("got %+v, want code %q", r, tt.want)
			}
			if r.Action != "" || r.SecretID != "" {
				t.Errorf("COS was asked without a key: %+v", r)
			}
		})
	}
}

// TestCheckNotesTheClock has one that COS still accepts.
func TestCheckNotesTheClock(t *testing.T) {
	r := checkOne(t, cosAnswer{status: 206, offset: 4 * time.Minute})
	if !r.OK || !regexp.MustCompile(`^this machine's clock is (239|240) s behind; STS refuses at 5 min`).MatchString(r.Note) {
		t.Errorf("got %+v", r)
	}
}

// TestCheckGolden has one route that works and one that is denied.
func TestCheckGolden(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	cos := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		answer := cosAnswer{status: 404, code: "NoSuchKey"}
		if strings.HasPrefix(r.Host, "logs-") {
			answer = cosAnswer{status: 403, code: "AccessDenied", msg: "Access Denied."}
		}
		answer.ServeHTTP(w, r)
	})
	environ := routesFor("COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com",
		"COSPROXY_STS_ENDPOINT="+sts.URL, "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String())
	for path, args := range map[string][]string{"testdata/check.golden": nil, "testdata/check.json.golden": {"--json"}} {
		code, out := checked(t, args, environ...)
		if code != exitFailure {
			t.Errorf("exit code %d, want %d", code, exitFailure)
		}
		out = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:]+(Z|[+-]\d\d:\d\d)`).ReplaceAllString(out, "2026-01-02T03:04:05Z")
		golden(t, path, regexp.MustCompile(`_seconds": -?[01],`).ReplaceAllString(out, `_seconds": 0,`))
	}
}

func TestCheckArguments(t *testing.T) {
	for _, args := range [][]string{{"--yaml"}, {"--json", "/photos/"}, {"/photos/"}, {"--json=maybe"}, {"-j"}} {
		code, out := checked(t, args, settingsFor()...)
		if code != exitUsage || !strings.Contains(out, "unexpected arguments") {
			t.Errorf("%q: exit code %d, %s", args, code, out)
		}
	}
	code, out := checked(t, nil, slices.Concat(settingsFor(), []string{"COSPROXY_REGION="})...)
	if code != exitFailure || !strings.Contains(out, "COSPROXY_REGION is required") {
		t.Errorf("exit code %d, %s", code, out)
	}
	code, out = checked(t, []string{"--json"}, slices.Concat(settingsFor(), []string{"COSPROXY_REGION="})...)
	if code != exitFailure || !strings.Contains(out, `"problems": [`) || !strings.Contains(out, "COSPROXY_REGION is required") {
		t.Errorf("as JSON: exit code %d, %s", code, out)
	}
}
