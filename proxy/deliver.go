package proxy

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"cosproxy/signer"
)

// delivery is one request on its way to COS, over as many attempts as it takes.
type delivery struct {
	req        *http.Request // as rewrite made it; its Header is signed anew each time
	upload     *upload       // nil without a body
	idempotent bool          // COS may get it twice (RFC 9110, 9.2.2)
	slow       bool          // COS may work for long before its answer begins

	gate     *gate // of the current attempt, if its body comes from the client
	sent     bool  // there was an attempt
	tries    int   // retries after passing faults
	silenced bool  // a kept connection was silent, and was given up
	timedOut bool  // a kept connection ended with 408
	noExpect bool  // an Expect was refused

	again     bool // the key was tried once more after a rejection
	probed    bool // COS has accepted the key of a refused HEAD for a GET
	recovered bool // there was an attempt with another key or clock
}

// next returns the request of the next attempt, not signed yet.
func (d *delivery) next() *http.Request {
	if !d.sent {
		d.sent = true
		return d.req
	}
	// The transport may still hold the header of the attempt before.
	req := d.req.WithContext(d.req.Context())
	req.Header = req.Header.Clone()
	delete(req.Header, "Expect")
	delete(req.Header, "Connection")
	if req.GetBody != nil {
		req.Body, _ = req.GetBody() // of bytes in memory: it does not fail
	}
	return req
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
// corrected clock if COS rejects these, before that once with the same key if it was
// good a moment ago, and up to maxRetries times after a fault that may pass. Where
// nothing helps, COS's answer stands, since it says most.
func (t *signingTransport) send(d *delivery) (*http.Response, error) {
	t.budget.earn()
	ctx := d.req.Context()
	creds, err := t.credentials.Credentials(ctx)
	if err != nil {
		return nil, credentialError(err)
	}
	if f := d.form(); f != nil && f.small == nil {
		var refusal *http.Response
		if creds, refusal = t.proven(d, creds); refusal != nil {
			return refusal, nil
		}
	}
	for {
		offset := time.Duration(t.offset.Load())
		if creds.Expired(t.now().Add(offset)) { // while the request waited for another attempt
			if creds, err = t.credentials.Credentials(ctx); err != nil {
				return nil, credentialError(err)
			}
		}
		resp, err := t.attempt(d, creds)
		switch {
		case err != nil:
			if !t.mayRetry(d, err, 0) {
				return nil, err
			}
			continue
		case isPassing(resp.StatusCode):
			if !t.mayRetry(d, nil, retryAfter(resp, t.now())) {
				return resp, nil
			}
			resp.Body.Close()
			continue
		case d.recovered:
			return resp, nil
		}
		next, ok := t.mend(d, resp, creds, offset)
		if !ok {
			return resp, nil
		}
		resp.Body.Close()
		creds = next
	}
}

// attempt signs d and sends it, again only for what concerns the connection or an
// Expect.
func (t *signingTransport) attempt(d *delivery, creds signer.Credentials) (*http.Response, error) {
	for {
		a := t.newAttempt(d)
		if err := t.sign(a.req, creds, d.form()); err != nil {
			return nil, err
		}
		resp, err := t.base.RoundTrip(a.req)
		a.end()
		resp, again, err := a.judge(resp, err)
		if again {
			continue
		}
		if err == nil {
			if accepts(resp) {
				t.credentials.Accepted(creds.SecretID)
			}
			if mayRepeatSecrets(resp) {
				secretsOf(creds.Token, a.req.Header.Get("Authorization"), d.form().signed()).maskResponse(resp)
			}
		}
		return resp, Unquoted(err)
	}
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

// retryAfter is the pause that an answer asks for, in seconds or until a date (RFC
// 9110, 10.2.3), zero if it asks for none. A date is read by the clock of the answer,
// or by ours if it has none.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	value := resp.Header.Get("Retry-After")
	if at, err := http.ParseTime(value); err == nil {
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			now = date
		}
		return max(0, at.Sub(now))
	}
	seconds, _ := strconv.ParseUint(value, 10, 31)
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
