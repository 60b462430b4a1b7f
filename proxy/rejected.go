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
// them, and returns the credentials for the next attempt. ok is false if the response is
// not such a rejection, or the request cannot be retried.
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
	if o.headChecked { // COS accepts the credentials and rejects the HEAD itself
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
	// COS accepts the credentials, so the HEAD may have met a transient error.
	o.headChecked = probed.acceptsCredentials()
	return creds, o.headChecked && o.route.budget.spend()
}

// nextCredentials is recoverRejection for a known code. A request gets one attempt with
// the same credentials, if COS accepted them a moment ago, and then one with new
// credentials or a corrected clock.
func (o *outgoing) nextCredentials(creds signer.Credentials, r rejection, offset time.Duration) (next signer.Credentials, ok bool) {
	o.metrics.rejected.WithLabelValues(r.code).Inc()
	if o.adjustClock(r, offset) {
		o.recovered = true
		return creds, o.rewindable()
	}
	retry := o.route.Credentials.Invalidate(creds.SecretID, o.repeated)
	switch {
	case !o.rewindable():
		return next, false // do not wait for credentials that only other requests can use
	case retry:
		o.repeated = true
		return creds, true
	}
	o.recovered = true
	return o.route.Credentials.Replacement(o.ctx, creds.SecretID)
}

// preflight checks the credentials with a small request before a streamed form is sent,
// and returns credentials that COS accepts. A form has its signature in the body: COS
// cannot reject it by its header, and a streamed body cannot be sent again. If COS
// rejects the credentials and there are no new ones, preflight returns its response.
func (o *outgoing) preflight(creds signer.Credentials) (signer.Credentials, *response) {
	location := outbound{method: http.MethodGet, path: o.head.path, rawPath: o.head.rawPath, query: "location", dialect: o.head.dialect, payload: emptyPayload}
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

// probe sends a request with this head to find out whether COS rejects the credentials:
// a GET of one byte after a failed HEAD, whose response has no body with the code, or GET
// ?location before a form. COS checks credentials before permissions, so the credentials
// need no permission for either. resp is nil if the probe got no response.
func (o *outgoing) probe(creds signer.Credentials, head outbound) (resp *response, r rejection) {
	probe := *o
	probe.head, probe.body, probe.idempotent, probe.wire = head, nil, true, newWire()
	resp, err := probe.attempt(creds)
	if err != nil {
		return nil, r
	}
	return resp, rejectionOf(resp)
}

// minSkew is the minimum clock difference that explains a rejection. The official Node
// SDK uses 30 s as well.
const minSkew = 30 * time.Second

// adjustClock takes COS's clock from the Date of a response that rejects the time. It
// returns whether that clock differs from used, the offset that the attempt was signed
// with; another request may have changed the offset in the meantime. It ignores the Date
// of servers other than COS.
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

// rejection describes a response with which COS rejects the credentials or the clock.
// The zero value means any other response.
type rejection struct {
	code    string
	date    string // the Date field
	fromCOS bool   // the Server field names COS
}

// rejectionOf parses a rejection. The body of resp can still be read from its start.
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

// rejectionCodes are the error codes for rejected credentials or a rejected clock.
var rejectionCodes = []string{"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed"}

// RejectionCode returns the code if an error document of COS rejects the credentials or
// the clock: ExpiredToken, InvalidAccessKeyId, InvalidToken (of S3), RequestTimeTooSkewed,
// or AccessDenied for an expired signature. An AccessDenied may have the code in its message (COS document
// "403 errors"). RejectionCode returns "" for any other document.
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
