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

// cosResponse is the response of the COS of a check.
type cosResponse struct {
	status  int
	code    string // in the body; "": no body
	msg     string
	header  map[string]string
	foreign bool          // without the request ID of COS
	offset  time.Duration // of the clock of COS from the local one
}

func (a cosResponse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// checkOne checks the route of settingsFor against cos and returns its report in the
// output of --json.
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

func TestCheck_COSFaults(t *testing.T) {
	reject := func(code, msg string) cosResponse { return cosResponse{status: 403, code: code, msg: msg} }
	head := "COSPROXY_ALLOW_ACTIONS=name/cos:HeadBucket"
	tests := []struct {
		name     string
		response cosResponse
		environ  []string
		want     string   // Code
		texts    []string // regular expressions for Problem and Advice
	}{
		{"absent object", cosResponse{status: 404, code: "NoSuchKey"}, nil, "", nil},
		{"existing object", cosResponse{status: 206}, nil, "", nil},
		{"no bucket", cosResponse{status: 404, code: "NoSuchBucket"}, nil, "bucket", []string{"bucket examplebucket-1250000000 does not exist in ap-guangzhou", "check COSPROXY_BUCKET and COSPROXY_REGION"}},
		{"no bucket, HEAD", cosResponse{status: 404}, []string{head}, "bucket", []string{"does not exist"}},
		{"other region", cosResponse{status: 404, code: "NoSuchBucket", header: map[string]string{"x-cos-bucket-region": "ap-beijing"}}, nil, "region", []string{"is in ap-beijing, not in ap-guangzhou", "set COSPROXY_REGION=ap-beijing"}},
		{"other region, HEAD", cosResponse{status: 403, header: map[string]string{"x-cos-bucket-region": "ap-beijing"}}, []string{head}, "region", nil},
		{"denied", reject("AccessDenied", "Access Denied."), nil, "denied", []string{"denies name/cos:GetObject on examplebucket-1250000000 to credentials AKIDtmp", `the user of the key pair \(TENCENTCLOUD_SECRET_ID\)`}},
		{"role denied", reject("AccessDenied", ""), []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r"}, "denied", []string{"the role in COSPROXY_ROLE_ARN"}},
		{"web identity denied", reject("AccessDenied", ""), oidc(t), "denied", []string{"the role in TKE_ROLE_ARN"}},
		{"static credentials denied", reject("AccessDenied", ""), []string{"COSPROXY_SOURCE=static"}, "denied", []string{"to credentials AKIDexample", "the owner of the credentials"}},
		{"denied, HEAD", cosResponse{status: 403}, []string{head}, "denied", []string{"name/cos:HeadBucket"}},
		{"unknown SecretId", reject("InvalidAccessKeyId", "no such id"), nil, "credentials_rejected", []string{"rejected credentials AKIDtmp: InvalidAccessKeyId: no such id"}},
		{"expired", cosResponse{status: 400, code: "ExpiredToken", msg: "expired"}, nil, "credentials_rejected", nil},
		{"expired, as AccessDenied", reject("AccessDenied", "Request has expired"), nil, "credentials_rejected", nil},
		{"unknown SecretId, as AccessDenied", reject("AccessDenied", "InvalidAccessKeyId"), nil, "credentials_rejected", nil},
		{"unknown SecretId, as AccessDenied, no probe", reject("AccessDenied", "InvalidAccessKeyId"), []string{"COSPROXY_ALLOW_ACTIONS=delete"}, "credentials_rejected", nil},
		{"clock, as AccessDenied", reject("AccessDenied", "RequestTimeTooSkewed"), nil, "clock", nil},
		{"signature", reject("SignatureDoesNotMatch", "no"), nil, "signature", []string{"another signature"}},
		{"clock behind", cosResponse{status: 403, code: "RequestTimeTooSkewed", offset: time.Hour}, nil, "clock", []string{`COS rejected .*: this machine's clock is (3599|3600) s behind`, "NTP"}},
		{"clock ahead, HEAD", cosResponse{status: 403, offset: -time.Hour}, []string{head}, "clock", []string{`(3600|3601) s ahead`}},
		{"clock ahead, as expiry", cosResponse{status: 403, code: "AccessDenied", msg: "Request has expired", offset: -time.Hour}, nil, "clock", nil},
		{"not COS", cosResponse{status: 403, code: "AccessDenied", foreign: true}, nil, "not_cos", []string{"the response 403 does not come from COS", "COSPROXY_ENDPOINT, COSPROXY_CONNECT_TO"}},
		{"captive portal", cosResponse{status: 302, foreign: true}, nil, "not_cos", nil},
		{"not COS, without objects", cosResponse{status: 404, foreign: true}, []string{"COSPROXY_ALLOW_ACTIONS=name/cos:HeadObject"}, "not_cos", nil},
		{"other region, no probe", cosResponse{status: 403, code: "AccessDenied", header: map[string]string{"x-cos-bucket-region": "ap-beijing"}}, []string{"COSPROXY_ALLOW_ACTIONS=delete"}, "region", nil},
		{"expired, no probe", reject("AccessDenied", "Request has expired"), []string{"COSPROXY_ALLOW_ACTIONS=delete"}, "credentials_rejected", nil},
		{"COS error", cosResponse{status: 503, code: "SlowDown", msg: "slow"}, nil, "cos_error", []string{"COS responded with 503 SlowDown: slow"}},
		{"COS error, HEAD", cosResponse{status: 500}, []string{head}, "cos_error", []string{"COS responded with 500$"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := checkOne(t, tt.response, tt.environ...)
			output := r.Problem + "\n" + r.Advice
			if r.Code != tt.want || r.Status != tt.response.status || r.OK == (r.Problem+r.Advice != "") {
				t.Errorf("got %+v, want code %q", r, tt.want)
			}
			for _, want := range tt.texts {
				if !regexp.MustCompile("(?m)" + want).MatchString(output) {
					t.Errorf("no match for %s in:\n%s", want, output)
				}
			}
		})
	}
}

// TestCheck_ProbesChangeNothing checks that no configuration makes a probe change anything.
func TestCheck_ProbesChangeNothing(t *testing.T) {
	absent := `uploads%2Fcosproxy-check-[A-Z0-9]+`
	tests := []struct {
		actions, prefixes string
		want              string // the request, as a regular expression
		code              string // error code of COS
		note              string
	}{
		{"list,read", "uploads/*", `GET /\?max-keys=1&prefix=uploads%2F`, "", ""},
		{"read,list", "*", `GET /\?max-keys=1`, "", ""},
		{"*", "uploads/*", `GET /\?max-keys=1&prefix=uploads%2F`, "", ""},
		{"*", "a.txt", "GET /a.txt", "NoSuchKey", ""},
		{"read", "a.txt,uploads/*", "GET /" + absent, "NoSuchKey", ""},
		{"write", "uploads/*", "GET /" + absent + `\?uploadId=cosproxy-check`, "NoSuchUpload", ""},
		{"name/cos:AbortMultipartUpload", "a.txt", `DELETE /a.txt\?uploadId=cosproxy-check`, "NoSuchUpload", ""},
		{"name/cos:HeadObject", "uploads/*", "HEAD /" + absent, "NoSuchKey", "the response to HEAD does not distinguish"},
		{"name/cos:HeadBucket", "uploads/*", "HEAD /", "", ""},
		{"delete", "uploads/*", `GET /\?max-keys=1&prefix=uploads%2F`, "AccessDenied", "COS accepted the credentials. No harmless request"},
		{"name/cos:PutObject", "a.txt", `GET /\?max-keys=1`, "AccessDenied", "COS accepted the credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.actions+" "+tt.prefixes, func(t *testing.T) {
			requests := make(chan string, 1)
			r := checkOne(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests <- r.Method + " " + r.RequestURI
				if !strings.Contains(r.Header.Get("Authorization"), "q-ak="+tmpID) || r.Header.Get("x-cos-security-token") != tmpToken {
					t.Error("the request is not signed with the credentials")
				}
				status := map[string]int{"": 200, "AccessDenied": 403}[tt.code]
				if status == 0 {
					status = 404
				}
				cosResponse{status: status, code: tt.code}.ServeHTTP(w, r)
			}), "COSPROXY_ALLOW_ACTIONS="+tt.actions, "COSPROXY_ALLOW_PREFIXES="+tt.prefixes)
			if got := <-requests; !regexp.MustCompile("^" + tt.want + "$").MatchString(got) {
				t.Errorf("requested %s, want %s", got, tt.want)
			}
			if !r.OK || !strings.HasPrefix(r.Note, tt.note) || (r.Note == "") != (tt.note == "") {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestCheck_ConnectionFaults(t *testing.T) {
	ok := cosResponse{status: 200}
	trusted := newServer(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // clients abort on purpose
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
		text    string
	}{
		{"refused", []string{"COSPROXY_CONNECT_TO=" + closed.Addr().String()}, "unreachable", "connection to COSPROXY_CONNECT_TO=127.0.0.1:"},
		{"no such name", []string{"COSPROXY_CONNECT_TO=", "COSPROXY_ENDPOINT=http://cosproxy-check.invalid"}, "dns", "the host name cosproxy-check.invalid cannot be resolved"},
		{"certificate", []string{"COSPROXY_ENDPOINT=https://example.com", "COSPROXY_CONNECT_TO=" + trusted.Listener.Addr().String()}, "tls", "the certificate at COSPROXY_CONNECT_TO="},
		{"no TLS", []string{"COSPROXY_ENDPOINT=https://example.com"}, "tls", "does not use TLS"},
		{"trusted certificate", []string{"COSPROXY_ENDPOINT=https://example.com", "COSPROXY_CONNECT_TO=" + trusted.Listener.Addr().String(), "COSPROXY_CA_FILE=" + certificateOf(t, trusted)}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := checkOne(t, ok, tt.environ...)
			if r.Code != tt.want || !strings.Contains(r.Problem, tt.text) || r.OK == (r.Advice != "") {
				t.Errorf("got %+v, want code %q", r, tt.want)
			}
		})
	}
}

func TestCheck_SourceFaults(t *testing.T) {
	reject := func(code string, offset time.Duration) http.HandlerFunc {
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
		{"unknown key pair", reject("AuthFailure.SecretIdNotFound", 0), "no_credentials", `^AuthFailure\.SecretIdNotFound: refused$`, "check the long-lived SecretId"},
		{"clock ahead", reject("AuthFailure.SignatureExpire", -10*time.Minute), "clock", `^STS rejected the time of the request: this machine's clock is 60\d s ahead$`, "NTP"},
		{"lifetime too long", func(w http.ResponseWriter, _ *http.Request) {
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
				t.Errorf("a request was sent to COS without credentials: %+v", r)
			}
		})
	}
}

// TestCheck_ClockNote uses a clock offset that COS still accepts.
func TestCheck_ClockNote(t *testing.T) {
	r := checkOne(t, cosResponse{status: 206, offset: 4 * time.Minute})
	if !r.OK || !regexp.MustCompile(`^this machine's clock is (239|240) s behind; STS rejects requests at 5 min`).MatchString(r.Note) {
		t.Errorf("got %+v", r)
	}
}

// TestCheck_Golden has a working route and a denied one.
func TestCheck_Golden(t *testing.T) {
	sts := newSTS(t, httptest.NewServer)
	cos := newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		response := cosResponse{status: 404, code: "NoSuchKey"}
		if strings.HasPrefix(r.Host, "logs-") {
			response = cosResponse{status: 403, code: "AccessDenied", msg: "Access Denied."}
		}
		response.ServeHTTP(w, r)
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

func TestCheck_Arguments(t *testing.T) {
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
