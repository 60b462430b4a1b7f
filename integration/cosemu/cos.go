package cosemu

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// exchange is one COS request on its way to an answer.
type exchange struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	now time.Time
	target

	requestID string
	action    string // without "name/cos:"
	secretID  string // as claimed
	rights    rights
	bucket    *bucket
	fault     COSFault
	// conditionHeader is what conditions see of a form, instead of the headers.
	conditionHeader http.Header

	status int    // answered
	code   string // COS error code answered
}

// serveCOS is the story of one request: who asks, for what, may they, do it.
func (s *Server) serveCOS(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, now: s.options.now()}
	x.requestID = fmt.Sprintf("%x_%x", x.now.UnixNano(), s.requestCount.Add(1))
	defer func() {
		if x.status == 0 { // the connection is being dropped
			s.record.cosRequest(x)
		}
	}()

	x.setHeader("Server", "tencent-cos")
	x.setHeader("Date", x.now.UTC().Format(http.TimeFormat))
	x.setHeader("x-cos-request-id", x.requestID)
	if err := x.run(); err != nil {
		x.writeError(err)
	}
}

func (x *exchange) run() error {
	var err error
	if x.target, err = parseTarget(x.r.RequestURI); err != nil {
		return err
	}
	x.action = actionOf(x.r.Method, x.target)
	onService := x.s.bucketHosts.service(x.r.Host)
	if onService {
		x.action = serviceAction(x.r.Method, x.target)
	}
	if err := x.applyFault(); err != nil {
		return err
	}
	name := x.s.bucketHosts.bucket(x.r.Host)
	if x.action == "PostObject" {
		return x.postObject(name)
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if onService {
		return x.service()
	}
	if x.bucket = x.s.store.buckets[name]; x.bucket == nil {
		return cosErrorf(http.StatusNotFound, "NoSuchBucket",
			"The specified bucket does not exist: no %s in %s", x.r.Host, x.s.options.Region)
	}
	handler := handlers[x.action]
	switch {
	case x.action == "" && x.query.selector() != "":
		return notImplemented(x.r.Method + " ?" + x.query.selector())
	case x.action == "":
		return cosErrorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	case len(x.key()) > maxKey && !x.onBucket():
		return cosErrorf(http.StatusBadRequest, "KeyTooLong", "Your key is too long.")
	}
	if err := x.authorize(); err != nil {
		return err
	}
	if handler == nil {
		return notImplemented(x.action)
	}
	if err := x.rejectUnsupported(); err != nil {
		return err
	}
	if err := x.checkLength(); err != nil {
		return err
	}
	return handler(x)
}

// checkUnderstood refuses what gives a request another meaning and is not here.
// Were it passed over, the answer would be that to another request.
func (x *exchange) rejectUnsupported() error {
	switch {
	case x.query.get("versionId") != "": // the Go SDK's download sends an empty one
		return notImplemented("versionId")
	case x.r.Header["X-Cos-Forbid-Overwrite"] != nil:
		return notImplemented("x-cos-forbid-overwrite")
	}
	return checkCannedACL(x.r.Header["X-Cos-Acl"])
}

// maxKey is the longest object key in bytes (COS specifications and limits).
const maxKey = 850

// handlers are the actions that the emulator carries out.
var handlers = map[string]func(*exchange) error{
	"AbortMultipartUpload":    (*exchange).abortMultipartUpload,
	"AppendObject":            (*exchange).appendObject,
	"CompleteMultipartUpload": (*exchange).completeMultipartUpload,
	"DeleteMultipleObjects":   (*exchange).deleteMultipleObjects,
	"DeleteObject":            (*exchange).deleteObject,
	"DeleteObjectTagging":     (*exchange).deleteTagging,
	"GetBucket":               (*exchange).getBucket,
	"GetBucketACL":            (*exchange).getACL,
	"GetBucketObjectVersions": (*exchange).listVersions,
	"GetObject":               (*exchange).getObject,
	"GetObjectACL":            (*exchange).getACL,
	"GetObjectTagging":        (*exchange).getTagging,
	"HeadBucket":              (*exchange).headBucket,
	"HeadObject":              (*exchange).getObject,
	"InitiateMultipartUpload": (*exchange).initiateMultipartUpload,
	"ListMultipartUploads":    (*exchange).listMultipartUploads,
	"ListParts":               (*exchange).listParts,
	"PostObjectRestore":       (*exchange).restoreObject,
	"PutObject":               (*exchange).putObject,
	"PutObjectACL":            (*exchange).putACL,
	"PutObjectTagging":        (*exchange).putTagging,
	"SelectObjectContent":     (*exchange).selectContent,
	"UploadPart":              (*exchange).uploadPart,
}

// onBucket reports whether the request is about the bucket and not an object.
func (x *exchange) onBucket() bool {
	return x.path == "/" || x.action == "GetBucket"
}

// checkLength demands the Content-Length that every PUT and POST must have; only
// PUT Object may be chunked instead.
func (x *exchange) checkLength() error {
	if x.r.Method != http.MethodPut && x.r.Method != http.MethodPost {
		return nil
	}
	chunkable := x.action == "PutObject" && x.r.ContentLength < 0
	if x.r.Header["Content-Length"] == nil && !chunkable {
		return cosErrorf(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	return nil
}

// set sets a response header with the casing given: COS writes ETag and
// x-cos-request-id, and case-sensitive clients rely on it.
func (x *exchange) setHeader(name, value string) { x.w.Header()[name] = []string{value} }

// answer sends the status. The request is on record before the client can know
// that it has been answered, so that a test may look at once.
func (x *exchange) writeStatus(status int) {
	x.status = status
	x.s.record.cosRequest(x)
	x.w.WriteHeader(status)
}

// empty answers without a body.
func (x *exchange) writeEmpty(status int) error {
	if status != http.StatusNoContent && status != http.StatusNotModified {
		x.setHeader("Content-Length", "0")
	}
	x.writeStatus(status)
	return nil
}

// xml answers 200 with v as XML.
func (x *exchange) writeXML(v any) error {
	body, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	x.setHeader("Content-Type", "application/xml")
	x.setHeader("Content-Length", strconv.Itoa(len(xmlHeader)+len(body)))
	x.writeStatus(http.StatusOK)
	x.writeBody(xmlHeader)
	x.writeBody(string(body))
	return nil
}

// body sends a piece of the answer. A client that has gone needs no report.
func (x *exchange) writeBody(s string) { _, _ = io.WriteString(x.w, s) }

// fail answers err in COS's form. When the answer has begun, all that is left is
// to break the connection.
func (x *exchange) writeError(err error) {
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	var e *cosError
	if !errors.As(err, &e) {
		e = cosErrorf(http.StatusInternalServerError, "InternalError", "%s", err)
	}
	x.code = e.code
	x.setHeader("x-cos-trace-id", "trace-"+x.requestID)
	body := x.errorXML(e)
	x.setHeader("Content-Type", "application/xml")
	if e.status == http.StatusNotModified {
		x.writeStatus(e.status)
		return
	}
	x.setHeader("Content-Length", strconv.Itoa(len(body)))
	x.writeStatus(e.status)
	if x.r.Method != http.MethodHead {
		x.writeBody(body)
	}
}

func (x *exchange) errorXML(e *cosError) string {
	resource := x.r.Host + x.path
	body, err := xml.Marshal(errorBody{
		Code: e.code, Message: e.message,
		StringToSign: e.stringToSign, FormatString: e.formatString,
		Resource: resource, RequestID: x.requestID, TraceID: "trace-" + x.requestID,
	})
	if err != nil {
		panic(err) // a struct of strings always marshals
	}
	return xmlHeader + string(body)
}
