package cosemu

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// getObject serves GET and HEAD.
func (x *exchange) getObject() error {
	o, body, err := x.bucket.get(x.key())
	switch {
	case err != nil:
		return err
	case o == nil:
		return noSuchKey()
	}
	defer body.close()
	if x.r.Method == http.MethodGet && o.archived(x.now) {
		return archivedState()
	}
	if err := checkConditions(conditionsFrom(x.r.Header), o); err != nil {
		x.set("ETag", o.etag)
		return err
	}
	first, length, partial, err := parseRange(x.r.Header.Get("Range"), o.body.size)
	if err != nil {
		return err
	}
	x.describe(o)
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		x.set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, o.body.size))
	}
	x.set("Content-Length", strconv.FormatInt(length, 10))
	if _, err := body.Seek(first, io.SeekStart); err != nil {
		return err
	}
	x.answer(status)
	if x.r.Method == http.MethodHead {
		return nil
	}
	return x.send(body.ReadSeeker, length)
}

// send copies length bytes of body to the client. http.ResponseWriter hands an
// *os.File to sendfile, so a large download costs next to no CPU here.
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

// describe sets the headers that tell about an object.
func (x *exchange) describe(o *object) {
	x.set("Content-Type", "application/octet-stream")
	for _, f := range o.meta {
		if !isACLField(f.name) {
			x.set(f.name, f.value)
		}
	}
	if o.growing {
		x.set("x-cos-object-type", "appendable")
	}
	if len(o.tags) > 0 {
		x.set("x-cos-tagging-count", strconv.Itoa(len(o.tags)))
	}
	if !o.restored.IsZero() {
		x.set("x-cos-restore", `ongoing-request="false", expiry-date="`+o.restored.UTC().Format(http.TimeFormat)+`"`)
	}
	x.set("Accept-Ranges", "bytes")
	x.set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	x.setDigests(o.etag, o.body)
	for name, header := range responseOverrides {
		if x.query.has(name) {
			x.set(header, x.query.get(name))
		}
	}
}

// responseOverrides are the parameters with which a signed GET chooses its
// answer's headers.
var responseOverrides = map[string]string{
	"response-cache-control":       "Cache-Control",
	"response-content-disposition": "Content-Disposition",
	"response-content-encoding":    "Content-Encoding",
	"response-content-language":    "Content-Language",
	"response-content-type":        "Content-Type",
	"response-expires":             "Expires",
}
