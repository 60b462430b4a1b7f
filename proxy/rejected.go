package proxy

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/signer"
)

// recoverRejection refreshes the credentials or the clock offset after COS rejected
// them, and returns the credentials for another attempt. ok is false if that would not
// help, or the body cannot be sent again.
func (o *outgoing) recoverRejection(resp *response, creds signer.Credentials, offset time.Duration) (next signer.Credentials, ok bool) {
	if resp.Status != http.StatusForbidden && resp.Status != http.StatusBadRequest {
		return next, false
	}
	if resp.method != http.MethodHead {
		if r := rejectionOf(resp); r.code != "" {
			return o.nextCredentials(creds, r, offset)
		}
		return next, false
	}
	if o.headChecked { // then it is the HEAD that COS refuses
		return next, false
	}
	probed, r := o.probe(creds, o.head.with("bytes=0-0", nil))
	if probed == nil {
		return next, false
	}
	defer probed.drop()
	if r.code != "" {
		return o.nextCredentials(creds, r, offset)
	}
	// COS has just accepted the credentials, so HEAD may have met a fault.
	o.headChecked = probed.acceptsCredentials()
	return creds, o.headChecked && o.route.budget.spend()
}

// nextCredentials is recoverRejection for a known code. A request gets one more attempt
// with the same credentials, if COS accepted them a moment ago, and one with others or
// another clock.
func (o *outgoing) nextCredentials(creds signer.Credentials, r rejection, offset time.Duration) (next signer.Credentials, ok bool) {
	o.metrics.rejected.WithLabelValues(r.code).Inc()
	if o.adjustClock(r, offset) {
		o.recovered = true
		return creds, o.rewindable()
	}
	retry := o.route.Credentials.Invalidate(creds.SecretID, o.repeated)
	switch {
	case !o.rewindable():
		return next, false // without a wait for the next credentials, which others need
	case retry:
		o.repeated = true
		return creds, true
	}
	o.recovered = true
	return o.route.Credentials.Replacement(o.ctx, creds.SecretID)
}

// preflight returns credentials that COS accepts, as far as that can be known before a
// large form is sent. Its signature is in the body, so that COS cannot be asked by
// its header, and what COS refuses cannot be sent again. If COS rejects the credentials
// and there are no others, its response is returned for the client.
func (o *outgoing) preflight(creds signer.Credentials) (signer.Credentials, *response) {
	location := outbound{method: http.MethodGet, path: o.head.path, rawPath: o.head.rawPath, query: "location"}
	for _, f := range o.head.fields {
		if http1.EqualFold(f.Name, "Host") || http1.EqualFold(f.Name, "User-Agent") || http1.EqualFold(f.Name, "Via") {
			location.fields = append(location.fields, f)
		}
	}
	for {
		offset := o.route.offset()
		resp, r := o.probe(creds, location)
		if resp == nil {
			return creds, nil
		}
		if r.code == "" {
			resp.drop()
			return creds, nil
		}
		next, ok := o.nextCredentials(creds, r, offset)
		if !ok {
			return creds, resp
		}
		resp.drop()
		if creds = next; o.recovered {
			return creds, nil
		}
	}
}

// probe finds out whether COS rejects credentials where the request itself does not
// tell. For a HEAD, whose refusal has no body to say it, it asks for one byte by
// GET; for a form, for the location of the bucket. COS judges the credentials first, so
// that a right which is missing for these does not matter. resp is nil without a
// response.
func (o *outgoing) probe(creds signer.Credentials, head outbound) (resp *response, r rejection) {
	try := *o
	try.head, try.body, try.idempotent, try.wire = head, nil, true, newWire()
	resp, err := try.attempt(creds)
	if err != nil {
		return nil, r
	}
	return resp, rejectionOf(resp)
}

// minSkew is the least difference of clocks that explains a rejection; the
// official Node SDK takes the same 30 s.
const minSkew = 30 * time.Second

// adjustClock learns COS's clock from the Date of a response that blames the
// time, and reports whether it differs from the one that the attempt was signed
// with. Another request may have learnt it in the meantime. Only a clock of COS
// itself counts.
func (o *outgoing) adjustClock(r rejection, used time.Duration) bool {
	date, err := http.ParseTime(r.date)
	if err != nil || !r.fromCOS || r.code != "RequestTimeTooSkewed" && r.code != "AccessDenied" {
		return false
	}
	offset := date.Sub(o.now())
	if (offset - used).Abs() < minSkew {
		return false
	}
	o.route.clockOffset.Store(int64(offset))
	return true
}

// rejection is what COS says when the credentials or the clock, not the request, are at
// fault. The zero value is any other response.
type rejection struct {
	code    string
	date    string // its Date
	fromCOS bool   // by its Server
}

// rejectionOf reads a rejection. The body of the response can still be read from the
// start.
func rejectionOf(resp *response) rejection {
	if resp.Status != http.StatusForbidden && resp.Status != http.StatusBadRequest {
		return rejection{}
	}
	if resp.method == http.MethodHead || resp.length > maxErrorDocument {
		return rejection{}
	}
	doc, ok := coserr.Parse(resp.peek())
	if !ok {
		return rejection{}
	}
	return rejection{
		code: RejectionCode(doc.Code, doc.Message), date: string(resp.Get("Date")),
		fromCOS: bytes.EqualFold(resp.Get("Server"), []byte("tencent-cos")),
	}
}

// rejectionCodes blame the credentials or the clock.
var rejectionCodes = []string{"ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed"}

// RejectionCode returns the code with which an error document of COS rejects the
// credentials or the clock: ExpiredToken, InvalidAccessKeyId, RequestTimeTooSkewed, or
// AccessDenied for a signature that has expired. AccessDenied may have the code as its
// message (COS document "403 errors"). It returns "" for any other document.
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
