package cosemu

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// getObject handles GET and HEAD.
func (x *exchange) getObject() error {
	o, body, err := x.bucket.get(x.key())
	switch {
	case err != nil:
		return err
	case o == nil:
		return noSuchKey()
	}
	defer body.close()
	if x.r.Method == http.MethodGet && o.needsRestore(x.now) {
		return invalidObjectState()
	}
	if err := checkConditions(conditionsFrom(x.r.Header), o); err != nil {
		x.setHeader("ETag", o.etag)
		return err
	}
	first, length, partial, err := parseRange(x.r.Header.Get("Range"), o.body.size)
	if err != nil {
		return err
	}
	x.setObjectHeaders(o)
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		x.setHeader("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, o.body.size))
	}
	x.setHeader("Content-Length", strconv.FormatInt(length, 10))
	if _, err := body.Seek(first, io.SeekStart); err != nil {
		return err
	}
	x.writeStatus(status)
	if x.r.Method == http.MethodHead {
		return nil
	}
	return x.send(body.ReadSeeker, length)
}

// send copies length bytes of body to the client. http.ResponseWriter passes an
// *os.File to sendfile, so large downloads cost little CPU.
func (x *exchange) send(body io.Reader, length int64) error {
	if cut := x.fault.CutAfter; cut > 0 && cut < length {
		if _, err := io.CopyN(x.w, body, cut); err != nil {
			return err
		}
		if err := http.NewResponseController(x.w).Flush(); err != nil {
			return err
		}
		panic(http.ErrAbortHandler)
	}
	_, err := io.CopyN(x.w, body, length)
	return err
}

// setObjectHeaders sets the response headers that describe an object.
func (x *exchange) setObjectHeaders(o *object) {
	x.setHeader("Content-Type", "application/octet-stream")
	for _, f := range o.meta {
		if !isACLField(f.name) {
			x.setHeader(f.name, f.value)
		}
	}
	if o.appendable {
		x.setHeader("x-cos-object-type", "appendable")
	}
	if len(o.tags) > 0 {
		x.setHeader("x-cos-tagging-count", strconv.Itoa(len(o.tags)))
	}
	if !o.restored.IsZero() {
		x.setHeader("x-cos-restore", `ongoing-request="false", expiry-date="`+o.restored.UTC().Format(http.TimeFormat)+`"`)
	}
	x.setHeader("Accept-Ranges", "bytes")
	x.setHeader("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	x.setDigests(o.etag, o.body)
	for name, header := range responseOverrides {
		if x.query.has(name) {
			x.setHeader(header, x.query.get(name))
		}
	}
}

// responseOverrides maps parameters of a signed GET to the response header that each
// sets.
var responseOverrides = map[string]string{
	"response-cache-control":       "Cache-Control",
	"response-content-disposition": "Content-Disposition",
	"response-content-encoding":    "Content-Encoding",
	"response-content-language":    "Content-Language",
	"response-content-type":        "Content-Type",
	"response-expires":             "Expires",
}
