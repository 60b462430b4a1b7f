package proxy

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cosproxy/signer"
)

// mend does something about an answer that rejects the key or the clock, and
// returns the key for another attempt; ok is false where there is nothing to
// mend, or the body cannot be sent again.
func (t *signingTransport) mend(d *delivery, resp *http.Response, creds signer.Credentials, offset time.Duration) (next signer.Credentials, ok bool) {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest {
		return next, false
	}
	code, date := rejection(resp), resp.Header.Get("Date")
	if resp.Request.Method == http.MethodHead {
		code, date = t.probe(d, creds)
	}
	if code == "" {
		return next, false
	}
	return t.replace(d, creds, code, date, offset)
}

// replace is mend for a rejection with this code and Date.
func (t *signingTransport) replace(d *delivery, creds signer.Credentials, code, date string, offset time.Duration) (next signer.Credentials, ok bool) {
	t.metrics.keyRejected(code)
	if t.adjustClock(date, code, offset) {
		return creds, d.replayable()
	}
	t.credentials.Invalidate(creds.SecretID)
	if !d.replayable() {
		return next, false // without a wait for the next key, which others need
	}
	next, err := t.credentials.Credentials(d.req.Context())
	// Why there is no other key stands in the cache's log.
	return next, err == nil && next.SecretID != creds.SecretID
}

// proven returns a key that COS accepts, as far as that can be known before a large
// form is sent. Its signature stands in the body, so that COS cannot be asked by
// its header, and what COS refuses cannot be sent again.
func (t *signingTransport) proven(d *delivery, creds signer.Credentials) (signer.Credentials, error) {
	offset := time.Duration(t.offset.Load())
	code, date := t.probe(d, creds)
	if code == "" {
		return creds, nil
	}
	next, ok := t.replace(d, creds, code, date, offset)
	if !ok {
		return next, credentialError(fmt.Errorf("COS has rejected the key with %s, and there is no other", code))
	}
	return next, nil
}

// probe finds out whether COS rejects a key where the request itself does not tell.
// For a HEAD, whose refusal has no body to say it, that is to ask for one byte by
// GET; for a form, to ask where the bucket is. COS judges the key first, so that a
// right which is missing for these does not matter.
func (t *signingTransport) probe(d *delivery, creds signer.Credentials) (code, date string) {
	req := d.req.WithContext(d.req.Context())
	req.Method = http.MethodGet
	if d.form() == nil {
		req.Header = d.req.Header.Clone()
		delete(req.Header, "Connection") // of the attempt before
		req.Header["Range"] = []string{"bytes=0-0"}
	} else {
		location := *d.req.URL
		location.RawQuery = "location"
		req.URL, req.Header = &location, http.Header{"User-Agent": d.req.Header["User-Agent"], "Via": d.req.Header["Via"]}
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	resp, err := t.attempt(&delivery{req: req, idempotent: true, slow: d.slow}, creds)
	if err != nil {
		return "", ""
	}
	defer resp.Body.Close()
	code = rejection(resp)
	late := time.AfterFunc(errorDocumentTimeout, func() { resp.Body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorDocument) // so that the connection can be used again
	return code, resp.Header.Get("Date")
}

// minSkew is the least difference of clocks that explains a rejection; the
// official Node SDK takes the same 30 s.
const minSkew = 30 * time.Second

// adjustClock learns COS's clock from the Date of an answer that blames the
// time, and reports whether it differs from the one that the attempt was signed
// with. Another request may have learnt it in the meantime.
func (t *signingTransport) adjustClock(header, code string, used time.Duration) bool {
	date, err := http.ParseTime(header)
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

// maxErrorDocument bounds how much of an error answer is read to learn its
// code; COS's documents are far smaller.
const maxErrorDocument = 64 << 10

// errorDocumentTimeout is how long the document may take to arrive.
const errorDocumentTimeout = 10 * time.Second

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
	body := resp.Body
	late := time.AfterFunc(errorDocumentTimeout, func() { body.Close() })
	head, err := io.ReadAll(io.LimitReader(body, maxErrorDocument))
	late.Stop()
	resp.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(head), errReader{err}, body), Closer: body}
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
