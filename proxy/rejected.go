package proxy

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"cosproxy/signer"
)

// mend does something about an answer that rejects the key or the clock, and
// returns the key for another attempt; ok is false where there is nothing to
// mend, or the body cannot be sent again.
func (t *signingTransport) mend(d *delivery, resp *http.Response, creds signer.Credentials, offset time.Duration) (next signer.Credentials, ok bool) {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest {
		return next, false
	}
	if resp.Request.Method != http.MethodHead {
		if r := rejectionOf(resp); r.code != "" {
			return t.replace(d, creds, r, offset)
		}
		return next, false
	}
	if d.probed { // then it is the HEAD that COS refuses
		return next, false
	}
	probed, r := t.probe(d, creds)
	if probed == nil {
		return next, false
	}
	defer drop(probed)
	if r.code != "" {
		return t.replace(d, creds, r, offset)
	}
	// COS has just accepted the key, so HEAD may have met a fault.
	d.probed = accepts(probed)
	return creds, d.probed && t.budget.spend()
}

// replace is mend for a rejection. A request gets one more attempt with the same
// key, if COS accepted it a moment ago, and one with another key or clock.
func (t *signingTransport) replace(d *delivery, creds signer.Credentials, r rejection, offset time.Duration) (next signer.Credentials, ok bool) {
	t.metrics.keyRejected(r.code)
	if t.adjustClock(r, offset) {
		d.recovered = true
		return creds, d.replayable()
	}
	retry := t.credentials.Invalidate(creds.SecretID, d.again)
	switch {
	case !d.replayable():
		return next, false // without a wait for the next key, which others need
	case retry:
		d.again = true
		return creds, true
	}
	d.recovered = true
	return t.credentials.Replacement(d.req.Context(), creds.SecretID)
}

// proven returns a key that COS accepts, as far as that can be known before a large
// form is sent. Its signature stands in the body, so that COS cannot be asked by
// its header, and what COS refuses cannot be sent again. If COS rejects the key and
// there is no other, its response is returned for the client.
func (t *signingTransport) proven(d *delivery, creds signer.Credentials) (signer.Credentials, *http.Response) {
	for {
		offset := time.Duration(t.offset.Load())
		resp, r := t.probe(d, creds)
		if resp == nil {
			return creds, nil
		}
		if r.code == "" {
			drop(resp)
			return creds, nil
		}
		next, ok := t.replace(d, creds, r, offset)
		if !ok {
			return creds, resp
		}
		drop(resp)
		if creds = next; d.recovered {
			return creds, nil
		}
	}
}

// probe finds out whether COS rejects a key where the request itself does not tell.
// For a HEAD, whose refusal has no body to say it, that is to ask for one byte by
// GET; for a form, to ask where the bucket is. COS judges the key first, so that a
// right which is missing for these does not matter. resp is nil without an answer.
func (t *signingTransport) probe(d *delivery, creds signer.Credentials) (resp *http.Response, r rejection) {
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
		return nil, r
	}
	return resp, rejectionOf(resp)
}

// drop reads the rest of a short body, so that its connection can be used again.
func drop(resp *http.Response) {
	defer resp.Body.Close()
	late := time.AfterFunc(errorDocumentTimeout, func() { resp.Body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorDocument)
}

// accepts reports whether an answer shows that COS accepted the key. Preflights
// need none.
func accepts(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
	default:
		if resp.StatusCode >= http.StatusBadRequest {
			return false
		}
	}
	return resp.Request.Method != http.MethodOptions
}

// minSkew is the least difference of clocks that explains a rejection; the
// official Node SDK takes the same 30 s.
const minSkew = 30 * time.Second

// adjustClock learns COS's clock from the Date of an answer that blames the
// time, and reports whether it differs from the one that the attempt was signed
// with. Another request may have learnt it in the meantime. The clock of whatever
// else may answer in COS's place is worth nothing.
func (t *signingTransport) adjustClock(r rejection, used time.Duration) bool {
	date, err := http.ParseTime(r.date)
	if err != nil || !r.fromCOS || r.code != "RequestTimeTooSkewed" && r.code != "AccessDenied" {
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

// rejection is what COS says when the key or the clock, not the request, is at
// fault. The zero value is any other answer.
type rejection struct {
	code    string
	date    string // its Date
	fromCOS bool   // by its Server
}

// rejectionOf reads a rejection. The body of the answer can still be read from the
// start.
func rejectionOf(resp *http.Response) rejection {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusBadRequest {
		return rejection{}
	}
	if resp.Request.Method == http.MethodHead || resp.ContentLength > maxErrorDocument {
		return rejection{}
	}
	body := resp.Body
	late := time.AfterFunc(errorDocumentTimeout, func() { body.Close() })
	head, err := io.ReadAll(io.LimitReader(body, maxErrorDocument))
	late.Stop()
	resp.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(head), errReader{err}, body), Closer: body}
	var doc errorDocument
	if xml.Unmarshal(head, &doc) != nil {
		return rejection{}
	}
	return rejection{
		code: RejectionCode(doc.Code, doc.Message), date: resp.Header.Get("Date"), fromCOS: strings.EqualFold(resp.Header.Get("Server"), "tencent-cos"),
	}
}

// rejectionCodes blame the key or the clock.
var rejectionCodes = []string{"ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed"}

// RejectionCode returns the code with which an error document of COS rejects the key
// or the clock: ExpiredToken, InvalidAccessKeyId, RequestTimeTooSkewed, or AccessDenied
// for a signature that has expired. AccessDenied may have the code as its message (COS
// document "403 errors"). It returns "" for any other document.
func RejectionCode(code, message string) string {
	if slices.Contains(rejectionCodes, code) {
		return code
	}
	if code != "AccessDenied" {
		return ""
	}
	message = strings.TrimSpace(message)
	if strings.HasPrefix(message, "Request has expired") {
		return code
	}
	for _, hidden := range rejectionCodes {
		if rest, ok := strings.CutPrefix(message, hidden); ok && strings.IndexFunc(rest, unicode.IsLetter) != 0 {
			return hidden
		}
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
