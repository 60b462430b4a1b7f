package proxy

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/signer"
)

// outgoing is one request to COS, over as many attempts as it takes.
type outgoing struct {
	route      *route
	upstream   *upstream
	head       outbound
	body       *body // nil: none
	idempotent bool  // COS may get it twice (RFC 9110, 9.2.2)
	slow       bool  // COS may work for long before its response begins
	now        func() time.Time
	metrics    *metrics
	canceler   *http1.Canceler
	ctx        context.Context // for waits
	wire       *wire

	attempts    int  // so far
	retries     int  // after transient errors
	taken       bool // the body was read from the client while it was sent
	abandoned   bool // a silent kept connection was given up
	timedOut    bool // a kept connection ended with 408
	noExpect    bool // an Expect was refused
	repeated    bool // the credentials were tried once more after a rejection
	headChecked bool // COS has accepted the credentials of a refused HEAD for a GET
	recovered   bool // there was an attempt with other credentials or another clock
}

// send signs the request and sends it, with retries: once with other credentials or a
// corrected clock if COS rejects these, before that once with the same ones if they were
// good a moment ago, and up to maxRetries times after a transient error. If no retry
// helps, COS's own response is returned.
func (o *outgoing) send() (*response, error) {
	o.route.budget.earn()
	creds, err := o.route.Credentials.Credentials(o.ctx)
	if err != nil {
		return nil, credentialError(err)
	}
	if o.body != nil && o.body.form != nil && o.body.isStreamed() {
		var refusal *response
		if creds, refusal = o.preflight(creds); refusal != nil {
			return refusal, nil
		}
	}
	for {
		offset := o.route.offset()
		if creds.Expired(o.now().Add(offset)) { // while the request waited for another attempt
			if creds, err = o.route.Credentials.Credentials(o.ctx); err != nil {
				return nil, credentialError(err)
			}
		}
		resp, err := o.attempt(creds)
		switch {
		case err != nil:
			if !o.mayRetry(err, 0) {
				return nil, err
			}
			continue
		case isTransient(resp.Status):
			if !o.mayRetry(nil, retryAfter(resp, o.now())) {
				return resp, nil
			}
			resp.drop()
			continue
		case o.recovered:
			return resp, nil
		}
		next, ok := o.recoverRejection(resp, creds, offset)
		if !ok {
			return resp, nil
		}
		resp.drop()
		creds = next
	}
}

// attempt signs the request and sends it, again only for what concerns the connection
// or an Expect.
func (o *outgoing) attempt(creds signer.Credentials) (*response, error) {
	for {
		o.attempts++
		call, err := o.wire.call(o, creds)
		if err != nil {
			return nil, err
		}
		got, err := o.upstream.client.Do(o.canceler, call)
		o.taken = o.taken || call.Taken
		o.countExpect(call)
		if err != nil {
			return nil, o.callError(err)
		}
		resp := newResponse(got, o.head.method)
		if again, err := o.connectionFault(resp, call); err != nil || again {
			resp.drop()
			if again {
				continue
			}
			return nil, err
		}
		if resp.acceptsCredentials() {
			o.route.Credentials.Accepted(creds.SecretID)
		}
		if resp.mayEchoSecrets() {
			resp.mask(creds.Token, o.wire.signature(), o.body)
		}
		return resp, nil
	}
}

// callError says on which side a round trip failed.
func (o *outgoing) callError(err error) error {
	var source *http1.SourceError
	if errors.As(err, &source) {
		return source.Err // a *clientError or a *coserr.Error
	}
	if cause := context.Cause(o.canceler.Context()); cause != nil {
		return cause
	}
	return err
}

// connectionFault tells from a response what only concerns the connection, or the
// Expect. again asks to send the request once more; that happens once for each
// reason.
func (o *outgoing) connectionFault(resp *response, call *http1.Call) (again bool, err error) {
	switch {
	case call.Expect && resp.Status == http.StatusExpectationFailed:
		o.upstream.expect.disable(time.Now())
		o.noExpect = true
		return o.rewindable(), errExpectRefused
	case resp.Reused && resp.Status == http.StatusRequestTimeout && o.rewindable():
		// A server that closes an idle connection may say so with 408, just when a
		// request is on its way there (RFC 9110, 15.5.9).
		o.upstream.client.CloseIdle()
		again = !o.timedOut && o.route.budget.spend()
		if o.timedOut = true; again {
			o.metrics.retried("connection")
		}
		return again, errLateTimeout
	}
	return false, nil
}

// rewindable reports whether the whole body can be sent again.
func (o *outgoing) rewindable() bool { return !o.taken }

// canRetry reports whether the request may be sent again though it is not known
// whether COS has carried it out. Without its body it cannot have.
func (o *outgoing) canRetry() bool {
	return o.rewindable() && (o.idempotent || o.body != nil && o.body.isStreamed() && o.body.form == nil)
}

// isTransient reports whether a status says that the same request may succeed
// later (COS document "Error codes").
func isTransient(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is the pause that a response asks for, in seconds or until a date (RFC
// 9110, 10.2.3), zero if it asks for none. A date is read by the clock of the
// response, or by ours if it has none.
func retryAfter(resp *response, now time.Time) time.Duration {
	value := string(resp.Get("Retry-After"))
	if at, err := http.ParseTime(value); err == nil {
		if date, err := http.ParseTime(string(resp.Get("Date"))); err == nil {
			now = date
		}
		return max(0, at.Sub(now))
	}
	seconds, _ := strconv.ParseUint(value, 10, 31)
	return time.Duration(seconds) * time.Second
}

// mayRetry decides about one more attempt after a transient error, and waits for
// its time. err is what the connection failed with, nil after a response.
func (o *outgoing) mayRetry(err error, minDelay time.Duration) bool {
	if o.retries == maxRetries || minDelay > maxRetryAfter || o.ctx.Err() != nil || err != nil && !isTransientError(err) {
		return false
	}
	if !o.canRetry() || !o.route.budget.spend() {
		return false
	}
	reason := "status"
	if err != nil {
		reason = "connection"
	}
	o.metrics.retried(reason)
	pause := max(minDelay, jitter(o.retries))
	o.retries++
	return wait(o.ctx, pause)
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
