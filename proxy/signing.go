package proxy

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"cosproxy/signer"
)

// Credentials hands out the key that requests are signed with. It must be safe
// for concurrent use and quick: it is asked once per request.
type Credentials interface {
	// Credentials returns a key that is valid now. An error that offers
	// RetryAfter() time.Duration sets the Retry-After of the answer.
	Credentials(ctx context.Context) (signer.Credentials, error)
	// Invalidate reports that COS rejected the key named secretID. It must not
	// harm a newer key.
	Invalidate(secretID string)
}

// signingTransport signs requests and sends them. When COS rejects the key or
// the clock, and the body can be sent again, it mends that and tries once more.
type signingTransport struct {
	base        http.RoundTripper
	signer      signer.Signer
	credentials Credentials
	now         func() time.Time
	offset      atomic.Int64 // of COS's clock from ours, in nanoseconds
	onRejected  func(code string)
}

// send signs req in place and sends it. req must be the caller's own. Where
// nothing can be mended, COS's rejection is the answer, since it says most.
func (t *signingTransport) send(req *http.Request) (*http.Response, error) {
	creds, err := t.credentials.Credentials(req.Context())
	if err != nil {
		return nil, credentialError(err)
	}
	offset := t.offset.Load()
	resp, err := t.attempt(req, creds)
	if err != nil {
		return nil, err
	}
	code := rejection(resp)
	if code == "" {
		return resp, nil
	}
	t.onRejected(code)
	if t.adjustClock(resp, code, time.Duration(offset)) {
		return t.again(req, creds, resp)
	}
	t.credentials.Invalidate(creds.SecretID)
	if !replayable(req) {
		return resp, nil // without a wait for the next key, which others need
	}
	next, err := t.credentials.Credentials(req.Context())
	if err != nil || next.SecretID == creds.SecretID {
		return resp, nil // why there is no other key stands in the cache's log
	}
	return t.again(req, next, resp)
}

func replayable(req *http.Request) bool { return req.Body == nil || req.GetBody != nil }

// again sends req once more, if it can be, in place of the answer resp.
func (t *signingTransport) again(req *http.Request, creds signer.Credentials, resp *http.Response) (*http.Response, error) {
	if !replayable(req) {
		return resp, nil
	}
	resp.Body.Close()
	// The transport may still hold the header of the first attempt.
	again := req.WithContext(req.Context())
	again.Header = req.Header.Clone()
	if req.GetBody != nil {
		again.Body, _ = req.GetBody() // of bytes in memory: it does not fail
	}
	return t.attempt(again, creds)
}

// minSkew is the least difference of clocks that explains a rejection; the
// official Node SDK takes the same 30 s.
const minSkew = 30 * time.Second

// adjustClock learns COS's clock from the Date of an answer that blames the
// time, and reports whether it differs from the one that the attempt was signed
// with. Another request may have learnt it in the meantime.
func (t *signingTransport) adjustClock(resp *http.Response, code string, used time.Duration) bool {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || code != "RequestTimeTooSkewed" && code != "AccessDenied" {
		return false
	}
	offset := date.Sub(t.now())
	if (offset - used).Abs() < minSkew {
		return false
	}
	t.offset.Store(int64(offset))
	return true
}

func (t *signingTransport) attempt(req *http.Request, creds signer.Credentials) (*http.Response, error) {
	now := t.now().Add(time.Duration(t.offset.Load()))
	if err := t.signer.Sign(req, creds, now); err != nil {
		return nil, &Error{
			Status:     http.StatusServiceUnavailable,
			Code:       "ServiceUnavailable",
			Message:    "cosproxy could not sign the request; its log says why.",
			RetryAfter: time.Second,
			Err:        err,
		}
	}
	return t.base.RoundTrip(req)
}

// maxErrorDocument bounds how much of an error answer is read to learn its
// code; COS's documents are far smaller.
const maxErrorDocument = 64 << 10

// rejection returns the code with which COS says that the key or the clock, not
// the request, is at fault; empty for any other answer. The body of the answer
// can still be read from the start.
func rejection(resp *http.Response) string {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest {
		return ""
	}
	if resp.Request.Method == http.MethodHead || resp.ContentLength > maxErrorDocument {
		return ""
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorDocument))
	resp.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(head), errReader{err}, resp.Body), Closer: resp.Body}
	var doc errorDocument
	if xml.Unmarshal(head, &doc) != nil {
		return ""
	}
	switch {
	case doc.Code == "ExpiredToken", doc.Code == "InvalidAccessKeyId", doc.Code == "RequestTimeTooSkewed":
		return doc.Code
	case doc.Code == "AccessDenied" && strings.HasPrefix(doc.Message, "Request has expired"):
		return doc.Code
	}
	return ""
}

// replayed is a body whose beginning was read ahead.
type replayed struct {
	io.Reader
	io.Closer
}

// errReader repeats the error that reading ahead ended with; nil means that
// there is more to read.
type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return 0, io.EOF
}
