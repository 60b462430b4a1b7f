package proxy_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// errorResponse is an error response of COS.
func errorResponse(status int, code, message string) string {
	body := fmt.Sprintf("<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>%s</Code>\n\t<Message>%s</Message>\n"+
		"\t<Resource>%s/key</Resource>\n\t<RequestId>id</RequestId>\n\t<TraceId>t</TraceId>\n</Error>\n", code, message, cosHost)
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/xml\r\nx-cos-request-id: id\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
}

// rejections are the responses that reject the credentials.
var rejections = []struct {
	name, response, code string
}{
	{"unknown key", errorResponse(403, "InvalidAccessKeyId", "The access key Id you provided does not exist"), "InvalidAccessKeyId"},
	{"expired token", errorResponse(403, "ExpiredToken", "expired"), "ExpiredToken"},
	{"expired token, as documented", errorResponse(400, "ExpiredToken", "expired"), "ExpiredToken"},
	{"expired signature", errorResponse(403, "AccessDenied", "Request has expired"), "AccessDenied"},
	{"unknown key, denied", errorResponse(403, "AccessDenied", "InvalidAccessKeyId"), "InvalidAccessKeyId"},
	{"expired token, denied", errorResponse(403, "AccessDenied", "\n ExpiredToken.\n"), "ExpiredToken"},
	{"skewed time, denied", errorResponse(403, "AccessDenied", "RequestTimeTooSkewed: look at the clock"), "RequestTimeTooSkewed"},
}

// perKey sends refusal while requests are signed with one of the first n credentials.
func perKey(n int, refusal string) func(*arrival) {
	return func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		response := ok
		for i := range n {
			if strings.Contains(a.Header.Get("Authorization"), fmt.Sprintf("q-ak=AKIDsentinel%d&", i+1)) {
				response = refusal
			}
		}
		a.respond(response)
	}
}

func TestRejection_CredentialsReplaced(t *testing.T) {
	for _, rejection := range rejections {
		for _, request := range []string{"GET /key?a=1", "DELETE /key", "GET /?prefix=a+b", "PUT /key", "POST /key?uploads", "OPTIONS /key"} {
			t.Run(rejection.name+", "+request, func(t *testing.T) {
				r := start(t, setup{handle: perKey(1, rejection.response)})
				rep := r.exchange(t, request+" HTTP/1.1\r\nContent-Length: 0\r\nX-Cos-Meta-A: 1\r\n\r\n")
				if rep.status != http.StatusOK {
					t.Fatalf("status %d: %s", rep.status, rep.body)
				}
				if got := r.creds.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
					t.Errorf("reported as rejected: %q", got)
				}
				seen := r.upstream.seen()
				if len(seen) != 2 {
					t.Fatalf("%d attempts, want 2", len(seen))
				}
				if seen[0].target() != seen[1].target() || seen[1].Header.Get("X-Cos-Meta-A") != "1" {
					t.Errorf("the second attempt differs:\n%s%s", seen[0].head, seen[1].head)
				}
				if metric := fmt.Sprintf("cosproxy_credentials_rejections_total{error_type=%q} 1", rejection.code); !strings.Contains(r.metrics(t), metric) {
					t.Errorf("%s is missing", metric)
				}
			})
		}
	}
}

// The request is retried once; then COS's response is forwarded.
func TestRejection_SecondForwarded(t *testing.T) {
	for _, rejection := range rejections {
		t.Run(rejection.name, func(t *testing.T) {
			r := start(t, setup{handle: perKey(3, rejection.response)})
			rep := r.get(t, "/key")
			checkSame(t, rep, rejection.response)
			if n := len(r.upstream.seen()); n != 2 {
				t.Errorf("%d attempts, want 2", n)
			}
		})
	}
}

// If there are no new credentials, COS's response says more than an error of the proxy.
func TestRejection_NoNewCredentials(t *testing.T) {
	refusal := rejections[0].response
	for name, outage := range map[string]error{"the same key again": nil, "no key": errors.New("sts says no")} {
		t.Run(name, func(t *testing.T) {
			k := newCredentials(1)
			r := start(t, setup{creds: k, handle: func(a *arrival) {
				k.mu.Lock()
				k.err = outage
				k.mu.Unlock()
				a.respond(refusal)
			}})
			checkSame(t, r.get(t, "/key"), refusal)
			r.upstream.only(t)
			if got := k.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
				t.Errorf("reported as rejected: %q", got)
			}
		})
	}
}

// checkSame compares a response with the one that COS sent.
func checkSame(t *testing.T, rep reply, response string) {
	t.Helper()
	head, body, _ := strings.Cut(response, "\r\n\r\n")
	if rep.body != body || rep.err != nil || !strings.HasPrefix(rep.head, head[:strings.Index(head, "\r\n")+2]) {
		t.Errorf("got\n%s%q (%v)\nwant\n%s", rep.head, rep.body, rep.err, response)
	}
	for name, values := range parseHead(head + "\r\n\r\n") {
		if !slices.Equal(rep.header[name], values) {
			t.Errorf("%s: %q, want %q", name, rep.header[name], values)
		}
	}
}

// A streamed upload cannot be retried: the credentials are reported and COS's response
// is forwarded.
func TestRejection_StreamedUploadNotRetried(t *testing.T) {
	for _, rejection := range rejections {
		for _, h := range half {
			t.Run(rejection.name+", "+h.name, func(t *testing.T) {
				r := start(t, setup{handle: perKey(1, rejection.response)})
				checkSame(t, r.exchange(t, h.request+h.rest), rejection.response)
				if got := r.creds.rejected(); !slices.Equal(got, []string{"AKIDsentinel1"}) {
					t.Errorf("reported as rejected: %q", got)
				}
				r.upstream.only(t)
				if rep := r.exchange(t, h.request+h.rest); rep.status != http.StatusOK {
					t.Errorf("the next upload got %d: %s", rep.status, rep.body)
				}
			})
		}
	}
}

// Credentials that COS accepted a moment ago are tried once more. Then new ones are
// requested and used once.
func TestRejection_TrustedCredentials(t *testing.T) {
	refusal, passed := rejections[0].response, refuse(ok)
	for _, tt := range []struct {
		name     string
		steps    []func(*arrival)
		signers  []int // of the attempts
		status   int
		rejected []string
	}{
		{"one fault", []func(*arrival){refuse(refusal), passed}, []int{1, 1}, 200, nil},
		{"revoked", []func(*arrival){refuse(refusal), refuse(refusal), passed}, []int{1, 1, 2}, 200, []string{"AKIDsentinel1"}},
		{"every key", []func(*arrival){refuse(refusal)}, []int{1, 1, 2}, 403, []string{"AKIDsentinel1"}},
	} {
		for _, request := range []string{"GET /key", "PUT /key", "DELETE /key", "POST /key?uploads"} {
			t.Run(tt.name+", "+request, func(t *testing.T) {
				k := newCredentials(3)
				k.trusted = true
				r := start(t, setup{creds: k, handle: inTurn(tt.steps...)})
				rep := r.exchange(t, request+" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
				if rep.status != tt.status || !slices.Equal(k.rejected(), tt.rejected) {
					t.Errorf("status %d, reported as rejected: %q; want %d, %q", rep.status, k.rejected(), tt.status, tt.rejected)
				}
				if slices.Contains(k.again, false) {
					t.Error("a second rejection is not reported as one")
				}
				checkSigners(t, r, tt.signers...)
			})
		}
	}
}

// checkSigners compares the credentials that signed the attempts.
func checkSigners(t *testing.T, r *rig, want ...int) {
	t.Helper()
	var got []int
	for _, a := range r.upstream.seen() {
		_, rest, _ := strings.Cut(a.wire().Get("Authorization"), "q-ak=AKIDsentinel")
		n, _, _ := strings.Cut(rest, "&")
		key, err := strconv.Atoi(n)
		if err != nil {
			t.Error(err)
		}
		got = append(got, key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the attempts were signed with credentials %v, want %v", got, want)
	}
}

// The error response to a HEAD has no body. If COS accepts the credentials for a GET,
// the HEAD is retried once.
func TestRejection_HEADTransientError(t *testing.T) {
	const denied = "HTTP/1.1 403 Forbidden\r\nx-cos-request-id: id\r\n\r\n"
	const head = "HTTP/1.1 200 OK\r\nx-cos-request-id: id\r\nContent-Length: 10\r\n\r\n"
	for name, tt := range map[string]struct {
		steps    []func(*arrival)
		attempts int
		status   int
	}{
		"one fault":      {[]func(*arrival){refuse(denied), refuse(ok), refuse(head)}, 3, 200},
		"not allowed":    {[]func(*arrival){refuse(denied), refuse(ok), refuse(denied)}, 3, 403},
		"nor may it GET": {[]func(*arrival){refuse(denied), refuse(errorResponse(403, "AccessDenied", "Access Denied."))}, 2, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{handle: inTurn(tt.steps...)})
			if rep := r.exchange(t, "HEAD /key HTTP/1.1\r\n\r\n"); rep.status != tt.status {
				t.Errorf("status %d, want %d", rep.status, tt.status)
			}
			if n := len(r.upstream.seen()); n != tt.attempts || len(r.creds.rejected()) != 0 {
				t.Errorf("%d requests, want %d; reported as rejected: %q", n, tt.attempts, r.creds.rejected())
			}
		})
	}
}

// Responses that show that COS accepted the credentials.
func TestRejection_Accepted(t *testing.T) {
	for _, tt := range []struct {
		request, response string
		accepted          bool
	}{
		{"GET", ok, true},
		{"PUT", ok, true},
		{"GET", "HTTP/1.1 304 Not Modified\r\nx-cos-request-id: id\r\n\r\n", true},
		{"GET", errorResponse(404, "NoSuchKey", ""), true},
		{"GET", errorResponse(412, "PreconditionFailed", ""), true},
		{"GET", errorResponse(416, "InvalidRange", ""), true},
		{"OPTIONS", ok, false},
		{"GET", errorResponse(400, "InvalidArgument", ""), false},
		{"GET", errorResponse(403, "AccessDenied", "Access Denied."), false},
		{"GET", errorResponse(403, "SignatureDoesNotMatch", ""), false},
		{"GET", errorResponse(501, "NotImplemented", ""), false},
	} {
		t.Run(tt.request+" "+tt.response[9:12], func(t *testing.T) {
			r := start(t, setup{handle: raw(tt.response)})
			r.exchange(t, tt.request+" /key HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
			r.creds.mu.Lock()
			defer r.creds.mu.Unlock()
			if got := slices.Equal(r.creds.accepted, []string{"AKIDsentinel1"}); got != tt.accepted || !got && len(r.creds.accepted) > 0 {
				t.Errorf("reported as accepted: %q, want it: %v", r.creds.accepted, tt.accepted)
			}
		})
	}
}

// Other errors do not concern the credentials.
func TestRejection_OtherErrors(t *testing.T) {
	tests := []struct{ name, method, response string }{
		{"forbidden by policy", "GET", errorResponse(403, "AccessDenied", "Access Denied.")},
		{"another code", "GET", errorResponse(403, "AccessDenied", "InvalidAccessKeyIdentity")},
		{"code elsewhere", "GET", errorResponse(403, "AccessDenied", "no InvalidAccessKeyId")},
		{"code of a missing object", "GET", errorResponse(403, "NoSuchKey", "InvalidAccessKeyId")},
		{"message elsewhere", "GET", errorResponse(403, "AccessDenied", "no: Request has expired")},
		{"wrong signature", "GET", errorResponse(403, "SignatureDoesNotMatch", "InvalidAccessKeyId")},
		{"bad digest", "GET", errorResponse(400, "BadDigest", "Request has expired")},
		{"archived", "GET", errorResponse(403, "InvalidObjectState", "ExpiredToken")},
		{"not found", "GET", errorResponse(404, "InvalidAccessKeyId", "")},
		{"success", "GET", errorResponse(200, "ExpiredToken", "Request has expired")},
		{"not XML", "GET", "HTTP/1.1 403 Forbidden\r\nContent-Length: 18\r\n\r\nInvalidAccessKeyId"},
		{"cut XML", "GET", "HTTP/1.1 403 Forbidden\r\nContent-Length: 38\r\n\r\n<Error><Code>InvalidAccessKeyId</Code>"},
		{"other document", "GET", "HTTP/1.1 403 Forbidden\r\nContent-Length: 45\r\n\r\n<Other><Code>InvalidAccessKeyId</Code></Other"},
		{"no body", "GET", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"},
		{"not implemented", "GET", errorResponse(501, "ExpiredToken", "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{handle: raw(tt.response)})
			checkSame(t, r.exchange(t, tt.method+" /key HTTP/1.1\r\n\r\n"), tt.response)
			r.upstream.only(t)
			if got := r.creds.rejected(); len(got) != 0 {
				t.Errorf("reported as rejected: %q", got)
			}
		})
	}
}

// A 403 that is too long to be an error document is streamed.
func TestRejection_LongBodyForwarded(t *testing.T) {
	for _, size := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for name, response := range map[string]string{
			"known length": fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", size, body),
			"chunked":      fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body),
		} {
			t.Run(fmt.Sprint(size, " ", name), func(t *testing.T) {
				r := start(t, setup{handle: raw(response)})
				if rep := r.get(t, "/key"); rep.body != body || rep.err != nil {
					t.Errorf("%d bytes of %d (%v)", len(rep.body), size, rep.err)
				}
			})
		}
	}
}

// The wait for an error document and its size in memory are limited.
func TestRejection_BodyNeverEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		response string
		within   time.Duration
	}{
		"short": {"Content-Length: 100\r\n\r\n<Err", 10 * time.Second},
		"long":  {"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + strings.Repeat("x", 0x20000) + "\r\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, setup{inMemory: true, handle: func(a *arrival) {
					a.respond("HTTP/1.1 403 Forbidden\r\nx-cos-request-id: id\r\n" + tt.response)
					a.waitGone()
				}})
				began, c := time.Now(), r.dial(t)
				c.send("GET /key HTTP/1.1\r\nHost: localhost\r\n\r\n")
				head := c.head()
				if waited := time.Since(began); !strings.HasPrefix(head, "HTTP/1.1 403 ") || waited > tt.within {
					t.Errorf("after %v:\n%s", waited, head)
				}
			})
		})
	}
}
