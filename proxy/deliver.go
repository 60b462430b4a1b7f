package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"cosproxy/signer"
)

// delivery is one request on its way to COS, over as many attempts as it takes.
type delivery struct {
	req        *http.Request // as rewrite made it; its Header is signed anew each time
	upload     *upload       // nil without a body
	idempotent bool          // COS may get it twice (RFC 9110, 9.2.2)

	gate  *gate // of the current attempt, if its body comes from the client
	sent  bool  // there was an attempt
	tries int   // retries after passing faults
}

// next returns the request of the next attempt.
func (d *delivery) next() (req *http.Request, end func()) {
	req = d.req
	if d.sent {
		// The transport may still hold the header of the attempt before.
		req = req.WithContext(req.Context())
		req.Header = req.Header.Clone()
		if req.GetBody != nil {
			req.Body, _ = req.GetBody() // of bytes in memory: it does not fail
		}
	}
	d.sent = true
	if d.upload == nil {
		return req, func() {}
	}
	ctx, end := d.upload.watched(req.Context())
	// COS judges a form by its fields, which are part of the body.
	if req.Body != nil && req.GetBody == nil && d.upload.form == nil {
		d.gate = newGate(ctx, d.upload)
		ctx = httptrace.WithClientTrace(ctx, d.gate.trace())
		req.Header["Expect"] = []string{"100-continue"}
	}
	req = req.WithContext(ctx)
	if d.gate != nil {
		req.Body = d.gate
	}
	return req, end
}

func (d *delivery) form() *form {
	if d.upload == nil {
		return nil
	}
	return d.upload.form
}

// replayable reports whether the whole body can be sent again, and makes sure
// that the attempts so far do not touch it any more.
func (d *delivery) replayable() bool {
	if !d.sent {
		return true
	}
	if d.gate != nil {
		return d.gate.shut()
	}
	return d.req.Body == nil || d.req.GetBody != nil
}

// repeatable reports whether d may be sent again though it is not known whether
// COS has carried it out. Without its body it cannot have.
func (d *delivery) repeatable() bool {
	return d.replayable() && (d.idempotent || d.gate != nil)
}

// isIdempotent reports whether COS ends up in the same state if it gets the
// request twice.
func isIdempotent(r *http.Request, t target) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	case http.MethodPut:
		// The second of two would find the first one's object.
		return r.Header["X-Cos-Forbid-Overwrite"] == nil && r.Header["If-None-Match"] == nil && r.Header["If-Match"] == nil
	}
	return t.op.key == "" && t.op.action == actionPrefix+"DeleteObject"
}

// send signs d and sends it, again where that helps: once with another key or a
// corrected clock if COS rejects these, and up to maxRetries times after a fault
// that may pass. Where nothing helps, COS's answer stands, since it says most.
func (t *signingTransport) send(d *delivery) (*http.Response, error) {
	t.budget.earn()
	ctx := d.req.Context()
	creds, err := t.credentials.Credentials(ctx)
	if err != nil {
		return nil, credentialError(err)
	}
	rejected := false
	if f := d.form(); f != nil && f.small == nil {
		if creds, err = t.proven(d, creds); err != nil {
			return nil, err
		}
	}
	for {
		offset := time.Duration(t.offset.Load())
		resp, err := t.attempt(d, creds)
		switch {
		case err != nil:
			if !t.mayRetry(d, err, 0) {
				return nil, err
			}
			continue
		case isPassing(resp.StatusCode):
			if !t.mayRetry(d, nil, retryAfter(resp)) {
				return resp, nil
			}
			resp.Body.Close()
			continue
		case rejected:
			return resp, nil
		}
		next, ok := t.mend(d, resp, creds, offset)
		if !ok {
			return resp, nil
		}
		resp.Body.Close()
		creds, rejected = next, true
	}
}

// attempt signs d and sends it once.
func (t *signingTransport) attempt(d *delivery, creds signer.Credentials) (*http.Response, error) {
	req, end := d.next()
	defer end()
	if err := t.sign(req, creds, d.form()); err != nil {
		return nil, err
	}
	resp, err := t.base.RoundTrip(req)
	if err == nil {
		secretsOf(creds.Token, req.Header.Get("Authorization"), d.form().signed()).maskResponse(resp)
	}
	return resp, err
}

// isPassing reports whether a status says that the same request may succeed
// later (COS document "Error codes").
func isPassing(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is the pause that an answer asks for, zero if it asks for none.
func retryAfter(resp *http.Response) time.Duration {
	seconds, _ := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31)
	return time.Duration(seconds) * time.Second
}

// mayRetry decides about one more attempt after a passing fault, and waits for
// its time. err is what the connection failed with, nil after an answer.
func (t *signingTransport) mayRetry(d *delivery, err error, least time.Duration) bool {
	ctx := d.req.Context()
	if d.tries == maxRetries || least > longestPause || ctx.Err() != nil || isTimeout(err) || isOwnAnswer(err) {
		return false
	}
	if !d.repeatable() || !t.budget.spend() {
		return false
	}
	reason := "status"
	if err != nil {
		reason = "connection"
	}
	t.metrics.retried(reason)
	pause := max(least, jitter(d.tries))
	d.tries++
	return wait(ctx, pause)
}

// wait lets a pause pass. It reports false if ctx ends first.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watched has the watchdog look on while one attempt sends the body: the source
// of keys may take its time before, and COS to answer it. end makes sure that a
// late word of this attempt does not count for the next.
func (u *upload) watched(ctx context.Context) (watched context.Context, end func()) {
	var over atomic.Bool
	trace := &httptrace.ClientTrace{
		WroteHeaders: func() {
			if !over.Load() {
				u.watchdog.start()
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) {
			if !over.Load() {
				u.watchdog.stop()
			}
		},
	}
	return httptrace.WithClientTrace(ctx, trace), func() {
		over.Store(true)
		u.watchdog.stop() // COS may have answered before the end of the body
	}
}
