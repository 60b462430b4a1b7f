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

// outgoing is one request to COS and the state of its attempts.
type outgoing struct {
	route      *route
	upstream   *upstream
	spare      *spareHost // nil: there is none
	head       outbound
	body       *body // nil: no body
	idempotent bool  // COS may receive it twice (RFC 9110, 9.2.2)
	slow       bool  // COS may process it for long before its response begins
	now        func() time.Time
	metrics    *metrics
	canceler   *http1.Canceler
	ctx        context.Context // ends waits
	wire       *wire

	attempts    int       // so far
	retries     int       // after transient errors
	taken       bool      // an attempt has read part of a streamed body
	abandoned   bool      // an attempt gave up a silent pooled connection
	timedOut    bool      // a pooled connection ended with 408
	noExpect    bool      // COS rejected Expect with 417
	repeated    bool      // the rejected credentials were tried once more
	headChecked bool      // after a failed HEAD, COS accepted the credentials for a GET
	recovered   bool      // an attempt used new credentials or a corrected clock
	started     time.Time // only with spare
	switched    bool      // the main host failed, and the spare host has not responded yet
}

// send signs and sends the request. If COS rejects the credentials or the clock, it
// retries once with new credentials or a corrected clock; credentials that COS accepted
// a moment ago are tried once more first. After transient errors it retries up to
// maxRetries times. If no retry helps, it returns COS's last response.
func (o *outgoing) send() (*response, error) {
	o.route.budget.earn()
	creds, err := o.route.Credentials.Credentials(o.ctx)
	if err != nil {
		return nil, credentialError(err)
	}
	if o.body != nil && o.body.form != nil && o.body.isStreamed() {
		var rejected *response
		if creds, rejected = o.preflight(creds); rejected != nil {
			return rejected, nil
		}
	}
	for {
		offset := o.route.offset()
		if creds.Expired(o.now().Add(offset)) { // they may expire during the delay before a retry
			if creds, err = o.route.Credentials.Credentials(o.ctx); err != nil {
				return nil, credentialError(err)
			}
		}
		resp, err := o.attempt(creds)
		switch {
		case o.isHostFailure(resp, err):
			if !o.mayRetry(err, 0) {
				return resp, err
			}
			if resp != nil {
				resp.drop()
			}
			o.switchHost()
			continue
		case err != nil:
			if !o.mayRetry(err, 0) {
				return nil, err
			}
			continue
		case isTransient(resp.Status):
			o.recordHost(resp)
			if !o.mayRetry(nil, retryAfter(resp, o.now())) {
				return resp, nil
			}
			resp.drop()
			continue
		}
		o.recordHost(resp)
		if o.recovered {
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

// attempt signs and sends the request. It repeats it only after a failure of the
// connection or a rejected Expect.
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

// callError returns the cause of a failed round trip: the client's body, the end of the
// exchange, or the connection to COS.
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

// connectionFault detects responses that only concern the connection or the Expect field.
// err is not nil for these. again reports that the request should be sent once more;
// that happens at most once for each reason.
func (o *outgoing) connectionFault(resp *response, call *http1.Call) (again bool, err error) {
	switch {
	case call.Expect && resp.Status == http.StatusExpectationFailed:
		o.upstream.expect.disable(time.Now())
		o.noExpect = true
		return o.rewindable(), errExpectRejected
	case resp.Reused && resp.Status == http.StatusRequestTimeout && o.rewindable():
		// A server may send 408 when it closes an idle connection, at the same time as
		// the proxy sends a request on it (RFC 9110, 15.5.9).
		o.upstream.client.CloseIdle()
		again = !o.timedOut && o.route.budget.spend()
		if o.timedOut = true; again {
			o.metrics.retried("connection")
		}
		return again, errLateTimeout
	}
	return false, nil
}

// rewindable reports whether the complete body can be sent again.
func (o *outgoing) rewindable() bool { return !o.taken }

// canRetry reports whether the request may be sent again although COS may have executed
// it. COS cannot execute a streamed upload before it has the body.
func (o *outgoing) canRetry() bool {
	return o.rewindable() && (o.idempotent || o.body != nil && o.body.isStreamed() && o.body.form == nil)
}

// isTransient reports whether the same request may succeed later after this status (COS
// document "Error codes").
func isTransient(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter returns the delay of the Retry-After field, in seconds or until a date (RFC
// 9110, 10.2.3), and zero without the field. A date is relative to the Date of the
// response, or to now without one.
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

// mayRetry reports whether to retry after a transient error, and waits for the delay
// before it. err is the error of the connection; nil after a response.
func (o *outgoing) mayRetry(err error, minDelay time.Duration) bool {
	if o.retries == maxRetries || minDelay > maxRetryAfter || o.ctx.Err() != nil || err != nil && !o.mayRecover(err) {
		return false
	}
	nothingSent := isDialError(err) && o.rewindable()
	if !o.canRetry() && !nothingSent || !o.route.budget.spend() {
		return false
	}
	reason := "status"
	if err != nil {
		reason = "connection"
	}
	o.metrics.retried(reason)
	delay := max(minDelay, jitter(o.retries))
	o.retries++
	return wait(o.ctx, delay)
}

// mayRecover reports whether a retry may help after err. A host that cannot be reached in
// time is worth one only if there is another host.
func (o *outgoing) mayRecover(err error) bool {
	return isTransientError(err) || o.spare != nil && isDialError(err)
}

// wait waits for the delay. It returns false if ctx ends first.
func wait(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
