package proxy

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/signer"
)

// wire makes the bytes of one attempt. It owns their memory, which is used again for
// the next attempt.
type wire struct {
	builder http1.Builder
	auth    []byte
	fields  []signer.Field
	request http1.Call
	out     *outgoing

	repeat  func() bool
	abandon func(http1.Silence) bool
}

func newWire() *wire {
	w := &wire{}
	w.repeat, w.abandon = w.mayRepeat, w.mayAbandon
	return w
}

// call returns the next attempt of o, signed with creds.
func (w *wire) call(o *outgoing, creds signer.Credentials) (*http1.Call, error) {
	w.out = o
	c := &w.request
	*c = http1.Call{Method: o.head.method, Abandon: w.abandon}
	if o.canRetry() {
		c.Repeat = w.repeat
	}
	w.fields = append(w.fields[:0], o.head.fields...)
	if err := w.attachBody(o, creds); err != nil {
		return nil, signingError(err)
	}
	if c.Expect {
		w.fields = append(w.fields, signer.Field{Name: fieldExpect, Value: valueContinue})
	}
	w.auth = w.auth[:0]
	if o.body == nil || o.body.form == nil {
		var err error
		head := signer.Head{Method: o.head.method, Path: o.head.path, RawQuery: o.head.query, Fields: w.fields}
		if w.auth, err = o.route.signer.AppendAuthorization(w.auth, head, creds, o.now().Add(o.route.offset())); err != nil {
			return nil, signingError(err)
		}
	}
	return c, w.write(o, creds.Token)
}

var (
	fieldExpect   = []byte("Expect")
	valueContinue = []byte("100-continue")
	fieldAuth     = []byte("Authorization")
)

// write makes the head.
func (w *wire) write(o *outgoing, token string) error {
	client := o.upstream.client
	w.builder.Request(o.head.method, o.head.target(client.TargetPrefix()))
	for _, f := range w.fields {
		w.builder.Copy(http1.Field(f))
	}
	if len(w.auth) > 0 {
		w.builder.Copy(http1.Field{Name: fieldAuth, Value: w.auth})
		if token != "" {
			w.builder.Field("x-cos-security-token", token)
		}
	}
	if proxy := client.ProxyAuthorization(); proxy != "" {
		w.builder.Field("Proxy-Authorization", proxy)
	}
	var err error
	if w.request.Head, err = w.builder.Bytes(); err != nil {
		return coserr.New(http.StatusBadRequest, "InvalidRequest", "A header field of the request cannot be forwarded.")
	}
	return nil
}

// attachBody sets the body of the attempt, and Expect for one that is streamed. COS
// judges a form by its fields, which are part of the body.
func (w *wire) attachBody(o *outgoing, creds signer.Credentials) error {
	b, c := o.body, &w.request
	switch {
	case b == nil:
		return nil
	case b.form != nil:
		return w.attachForm(o, creds)
	case !b.isStreamed():
		c.Body = b.buffered
		return nil
	}
	c.Stream, c.Length = b.upload, b.length
	if c.Expect = !o.noExpect && o.upstream.expect.wanted(time.Now()); c.Expect && o.upstream.expect.isSupported() && !o.abandoned && !o.slow {
		c.KeptContinueTimeout = o.upstream.maxSilence
	}
	return nil
}

func (w *wire) attachForm(o *outgoing, creds signer.Credentials) error {
	f, c := o.body.form, &w.request
	head, err := f.sign(&o.route.signer, o.route.Bucket, creds, o.now().Add(o.route.offset()))
	if err != nil {
		return err
	}
	length := strconv.AppendInt(nil, int64(len(head))+f.length, 10)
	w.fields = append(w.fields, signer.Field{Name: fieldLength, Value: length})
	if f.buffered != nil {
		c.Body = slices.Concat(head, f.buffered)
		return nil
	}
	c.Body, c.Stream, c.Length = head, f, f.length
	return nil
}

// signature is that of the last attempt's header.
func (w *wire) signature() []byte {
	_, signature, _ := bytes.Cut(w.auth, []byte("q-signature="))
	signature, _, _ = bytes.Cut(signature, []byte("&"))
	return signature
}

// mayRepeat is asked when a kept connection has failed without a byte of a response.
func (w *wire) mayRepeat() bool { return w.out.canRetry() && !w.request.Taken }

// mayAbandon is asked when a kept connection is silent. That may cost one attempt, and
// none where COS may work for long before the first byte.
func (w *wire) mayAbandon(s http1.Silence) bool {
	o := w.out
	if o.abandoned || o.slow || !o.canRetry() || !w.isSafeToRepeat(s) || !o.route.budget.spend() {
		return false
	}
	o.abandoned = true
	o.metrics.retried("silence")
	return true
}

// isSafeToRepeat reports whether it does no harm if COS, against all appearance, has
// the request and carries it out later: a PUT that is repeated now could then undo a
// newer one. A read changes nothing, a streamed upload lacks its body. Of the others COS
// cannot have the whole as long as bytes of it are not acknowledged.
func (w *wire) isSafeToRepeat(s http1.Silence) bool {
	switch w.out.head.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return w.request.Stream != nil && !w.request.Taken || s.Unacknowledged
}

var (
	errLateTimeout   = errors.New("COS closed a kept connection with status 408 before the request reached it")
	errExpectRefused = errors.New("status 417 to the Expect that cosproxy has added")
)

func signingError(err error) error {
	return &coserr.Error{
		Status:     http.StatusServiceUnavailable,
		Code:       "ServiceUnavailable",
		Message:    "cosproxy could not sign the request; its log says why.",
		RetryAfter: time.Second,
		Err:        err,
	}
}

// countExpect notes what came of Expect. A connection that was given up says nothing.
func (o *outgoing) countExpect(call *http1.Call) {
	var result string
	switch call.Verdict {
	case http1.Continued:
		result = expectContinue
	case http1.Silent:
		result = expectTimeout
	case http1.Early:
		result = expectVerdict
	default:
		return
	}
	o.metrics.expects.WithLabelValues(result).Inc()
	o.upstream.expect.record(result, time.Now())
}
