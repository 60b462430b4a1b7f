package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/signer"
)

// outage is an error with a RetryAfter method.
type outage struct{ after time.Duration }

func (outage) Error() string               { return "sts says no" }
func (o outage) RetryAfter() time.Duration { return o.after }

// Without credentials nothing is sent, in particular nothing unsigned.
func TestFailure_NoCredentials(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		after string
	}{
		{"plain error", errors.New("sts says no"), "1"},
		{"says when", outage{7 * time.Second}, "7"},
		{"says when, wrapped", fmt.Errorf("fetch: %w", outage{7 * time.Second}), "7"},
		{"rounded up", outage{6100 * time.Millisecond}, "7"},
		{"at least a second", outage{-time.Second}, "1"},
		{"timeout", fmt.Errorf("sts says no: %w", context.DeadlineExceeded), "1"},
	}
	for _, tt := range tests {
		for _, request := range []string{"GET /key HTTP/1.1\r\n\r\n", "PUT /key HTTP/1.1\r\nContent-Length: 4\r\n\r\ntest"} {
			t.Run(tt.name+" "+request[:3], func(t *testing.T) {
				k := newCredentials(1)
				k.err = tt.err
				r := start(t, setup{creds: k})
				rep := r.exchange(t, request)
				doc := r.refused(t, rep, http.StatusServiceUnavailable, "ServiceUnavailable")
				if got := rep.header.Get("Retry-After"); got != tt.after {
					t.Errorf("Retry-After %q, want %q", got, tt.after)
				}
				checkCause(t, r, doc.Message, "sts says no")
			})
		}
	}
}

// checkCause checks that the cause is logged as an error and is not in the response.
func checkCause(t *testing.T, r *rig, message, cause string) {
	t.Helper()
	if log := r.drained(t); !strings.Contains(log, cause) || !strings.Contains(log, "level=ERROR") {
		t.Errorf("the log does not tell the cause %q: %s", cause, log)
	}
	if strings.Contains(message, cause) {
		t.Errorf("the response tells the cause: %s", message)
	}
}

// Credentials that cannot sign count as none.
func TestFailure_UnusableCredentials(t *testing.T) {
	for name, unusable := range map[string]signer.Credentials{
		"empty":   {},
		"expired": {SecretID: "AKID", SecretKey: "secret", Expires: time.Unix(1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			k := newCredentials(1)
			k.list[0] = unusable
			r := start(t, setup{creds: k})
			rep := r.get(t, "/key")
			doc := r.refused(t, rep, http.StatusServiceUnavailable, "ServiceUnavailable")
			checkCause(t, r, doc.Message, "signer: ")
		})
	}
}

// A client that leaves during a fetch of credentials is not an error.
func TestFailure_ClientLeavesBeforeCredentials(t *testing.T) {
	asked := make(chan struct{})
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Credentials = waiting{asked: asked} }})
	c := r.dial(t)
	c.send(noBody)
	<-asked
	c.Close()
	if log := r.drained(t); !strings.Contains(log, "http.response.status_code=499") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log: %s", log)
	}
	if !strings.Contains(r.metrics(t), `code="499",route="default"} 1`) {
		t.Error("it is not counted")
	}
}

// waiting is a credential source that never returns.
type waiting struct {
	*stubCredentials
	asked chan struct{}
}

func (w waiting) Credentials(ctx context.Context) (signer.Credentials, error) {
	close(w.asked)
	<-ctx.Done()
	return signer.Credentials{}, fmt.Errorf("fetch: %w", ctx.Err())
}

func TestFailure_COSUnreachable(t *testing.T) {
	closed := listen(t)
	closed.Close()
	for _, h := range []string{noBody, half[0].request, half[0].request + half[0].rest} {
		r := start(t, setup{upstream: proxy.Upstream{ConnectTo: closed.Addr().String()}})
		c := r.dial(t)
		c.send(h)
		doc := r.refused(t, c.reply("GET"), http.StatusBadGateway, "BadGateway")
		c.Close()
		checkCause(t, r, doc.Message, "connection refused")
	}
}

func TestFailure_InvalidResponse(t *testing.T) {
	for _, response := range []string{"", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"} {
		t.Run(response, func(t *testing.T) {
			r := start(t, setup{handle: func(a *arrival) {
				a.respond(response)
				a.conn.Close()
			}})
			rep := r.get(t, "/key")
			if rep.status != http.StatusBadGateway || rep.cosError(t).Code != "BadGateway" {
				t.Fatalf("got\n%s%s", rep.head, rep.body)
			}
			if log := r.drained(t); !strings.Contains(log, "level=ERROR") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestFailure_COSDoesNotRespond(t *testing.T) {
	for _, request := range []string{noBody, knownLength} {
		r := start(t, setup{
			options: func(o *proxy.Options) { o.Limits.StallTimeout = 100 * time.Millisecond },
			handle: func(a *arrival) {
				_ = a.readBody()
				a.waitGone()
			},
		})
		rep := r.exchange(t, request)
		if rep.status != http.StatusGatewayTimeout || rep.cosError(t).Code != "GatewayTimeout" {
			t.Fatalf("got\n%s%s", rep.head, rep.body)
		}
		checkCause(t, r, rep.body, "no response came in time")
	}
}

// The timeout for a response begins after the request was sent, however long that
// takes.
func TestFailure_SlowUploadNoTimeout(t *testing.T) {
	begun := make(chan struct{})
	r := start(t, setup{
		handle: func(a *arrival) {
			_, _ = io.ReadFull(a.Body, make([]byte, 4))
			close(begun)
			_ = a.readBody()
			a.respond(ok)
		},
	})
	c := r.dial(t)
	c.send(half[0].request)
	<-begun
	c.send(half[0].rest)
	if rep := c.reply("PUT"); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
}

// The error document is well-formed for any request.
func TestFailure_ErrorDocument(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	for target, resource := range map[string]string{
		"/plain":                 "localhost/plain",
		"/%3CError%3E%26%22":     "localhost/%3CError%3E%26%22",
		"/<Error>&\"]]>":         "localhost/%3CError%3E&%22]]%3E",
		"/%E7%9B%AE%FF%00":       "localhost/%E7%9B%AE%FF%00",
		"/q?token=must-not-show": "localhost/q",
	} {
		rep := r.get(t, target)
		if doc := r.refused(t, rep, http.StatusForbidden, "AccessDenied"); doc.Resource != resource {
			t.Errorf("%s: Resource %q, want %q", target, doc.Resource, resource)
		}
		if rep.header.Get("Server") != "cosproxy" || !strings.HasPrefix(rep.header.Get("x-cos-request-id"), "cosproxy-") {
			t.Errorf("the response looks like one of COS:\n%s", rep.head)
		}
	}
}

func TestFailure_ErrorText(t *testing.T) {
	cause := errors.New("cause")
	err := &coserr.Error{Code: "BadGateway", Message: "No.", Err: cause}
	if got := err.Error(); got != "BadGateway: No. (cause)" || !errors.Is(err, cause) {
		t.Errorf("got %q", got)
	}
	err.Err = nil
	if got := err.Error(); got != "BadGateway: No." {
		t.Errorf("got %q", got)
	}
}

// An invalid final status from COS is a 502, not a crash.
func TestFailure_ImpossibleStatus(t *testing.T) {
	for _, status := range []string{"000", "099", "101"} {
		t.Run(status, func(t *testing.T) {
			r := start(t, setup{handle: raw("HTTP/1.1 " + status + " Odd\r\nContent-Length: 0\r\n\r\n")})
			rep := r.get(t, "/key")
			if rep.status != http.StatusBadGateway || !strings.Contains(rep.body, "<Code>BadGateway</Code>") {
				t.Errorf("got %d: %s", rep.status, rep.body)
			}
		})
	}
}
