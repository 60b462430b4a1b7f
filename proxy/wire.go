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

// wire makes the bytes of one attempt. It owns their memory, which later attempts reuse.
type wire struct {
	builder http1.Builder
	auth    []byte
	fields  []signer.Field
	request http1.Call
	out     *outgoing

	repeat  func() bool              // mayRepeat, so that attempts do not allocate it
	abandon func(http1.Silence) bool // mayAbandon
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
	if err := w.sign(o, creds, o.now().Add(o.route.offset())); err != nil {
		return nil, signingError(err)
	}
	return c, w.write(o, creds.Token)
}

// sign appends the fields of the signature, in the dialect of the request. A form has its
// signature in the body.
func (w *wire) sign(o *outgoing, creds signer.Credentials, now time.Time) (err error) {
	w.auth = w.auth[:0]
	switch {
	case o.body != nil && o.body.form != nil:
		return nil
	case o.head.dialect == dialectS3:
		head := signer.S3Head{Method: o.head.method, Path: o.head.rawPath, RawQuery: o.head.query, Fields: w.fields, Region: o.route.Region, PayloadHash: o.head.payload}
		w.fields, w.auth, err = o.route.s3signer.AppendFields(w.fields, w.auth, head, creds, now)
		return err
	}
	head := signer.Head{Method: o.head.method, Path: o.head.path, RawQuery: o.head.query, Fields: w.fields}
	w.auth, err = o.route.signer.AppendAuthorization(w.auth, head, creds, now)
	return err
}

var (
	fieldExpect   = []byte("Expect")
	valueContinue = []byte("100-continue")
	fieldAuth     = []byte("Authorization")
)

// write writes the request header.
func (w *wire) write(o *outgoing, token string) error {
	client := o.upstream.client
	w.builder.Request(o.head.method, o.head.target(client.TargetPrefix()))
	for _, f := range w.fields {
		w.builder.Copy(http1.Field(f))
	}
	if len(w.auth) > 0 && o.head.dialect == dialectCOS {
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
		return coserr.New(http.StatusBadRequest, "InvalidRequest", "A header field of the request contains bytes that HTTP does not allow. Check the header values.")
	}
	return nil
}

// attachBody sets the body of the attempt, and Expect if it is streamed. A form needs no
// Expect: COS checks it by its fields, which are part of the body.
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
	head, err := f.sign(o.route, creds, o.now().Add(o.route.offset()))
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

// signature returns the signature in the Authorization header of the last attempt.
func (w *wire) signature() []byte {
	if w.out.head.dialect == dialectS3 {
		return w.auth[bytes.LastIndexByte(w.auth, '=')+1:]
	}
	_, signature, _ := bytes.Cut(w.auth, []byte("q-signature="))
	signature, _, _ = bytes.Cut(signature, []byte("&"))
	return signature
}

// mayRepeat reports whether to send the request again after a pooled connection failed
// without a byte of a response.
func (w *wire) mayRepeat() bool { return w.out.canRetry() && !w.request.Taken }

// mayAbandon reports whether to give up a silent pooled connection and send the request
// again. It allows this once per request, and not if COS may process the request for long
// before its first byte.
func (w *wire) mayAbandon(s http1.Silence) bool {
	o := w.out
	if o.abandoned || o.slow || !o.canRetry() || !w.isSafeToRepeat(s) || !o.route.budget.spend() {
		return false
	}
	o.abandoned = true
	o.metrics.retried("silence")
	return true
}

// isSafeToRepeat reports whether repeating the request is safe even if COS has received it
// and executes it later, when a delayed PUT could overwrite a newer one. Reads are safe,
// and so are streamed uploads whose body was not sent. COS cannot have received the rest
// completely while bytes of it are unacknowledged.
func (w *wire) isSafeToRepeat(s http1.Silence) bool {
	switch w.out.head.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return w.request.Stream != nil && !w.request.Taken || s.Unacknowledged
}

var (
	errLateTimeout    = errors.New("COS closed a pooled connection with status 408 before it received the request")
	errExpectRejected = errors.New("COS rejected the Expect header that cosproxy added with status 417")
)

func signingError(err error) error {
	return &coserr.Error{
		Status:     http.StatusServiceUnavailable,
		Code:       "ServiceUnavailable",
		Message:    "cosproxy could not sign the request. See its log for the cause, then send the request again.",
		RetryAfter: time.Second,
		Err:        err,
	}
}

// countExpect records the result of Expect. An abandoned connection has no result.
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
