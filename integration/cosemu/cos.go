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

// exchange is the state of one COS request.
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
	dialect   Dialect
	payload   string      // the SHA-256 of the body that an S3 request claims; empty for none
	wire      http.Header // the headers as they arrived
	// conditionHeader replaces the headers for policy conditions on a form.
	conditionHeader http.Header

	status int    // of the response
	code   string // COS error code of the response
}

// serveCOS handles one request: it authenticates, authorizes and executes it.
func (s *Server) serveCOS(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, wire: r.Header, dialect: DialectCOS, now: s.options.now()}
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
	var dialectErr error
	if x.action != "PostObject" { // a form has its signature in its fields
		x.dialect, dialectErr = dialectOf(x.r, x.query)
		x.nameRequestID()
	}
	if err := x.applyFault(); err != nil {
		return err
	}
	name := x.s.bucketHosts.bucket(x.r.Host)
	if x.action == "PostObject" {
		return x.postObject(name)
	}
	switch {
	case dialectErr != nil:
		return dialectErr
	case onService && x.path != "/":
		return pathStyleForbidden()
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if onService {
		return x.service()
	}
	return x.runOnBucket(name)
}

// runOnBucket authorizes and executes an authenticated request to a bucket's host.
func (x *exchange) runOnBucket(name string) error {
	if x.bucket = x.s.store.buckets[name]; x.bucket == nil {
		return cosErrorf(http.StatusNotFound, "NoSuchBucket",
			"The specified bucket does not exist: no %s in %s", x.r.Host, x.s.options.Region)
	}
	if x.dialect == DialectS3 {
		if err := x.rejectS3Unsupported(); err != nil {
			return err
		}
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
	if err := x.verifyPayload(); err != nil {
		return err
	}
	return handler(x)
}

// rejectUnsupported fails on fields that change the meaning of a request and are not
// implemented. If it ignored them, the response would be to another request.
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

// handlers maps the implemented actions to their functions.
var handlers = map[string]func(*exchange) error{
	"AbortMultipartUpload":    (*exchange).abortMultipartUpload,
	"AppendObject":            (*exchange).appendObject,
	"CompleteMultipartUpload": (*exchange).completeMultipartUpload,
	"DeleteMultipleObjects":   (*exchange).deleteMultipleObjects,
	"DeleteObject":            (*exchange).deleteObject,
	"DeleteObjectTagging":     (*exchange).deleteTagging,
	"GetBucket":               (*exchange).getBucket,
	"GetBucketACL":            (*exchange).getACL,
	"GetBucketLocation":       (*exchange).getLocation,
	"GetBucketObjectVersions": (*exchange).listVersions,
	"GetBucketVersioning":     (*exchange).getVersioning,
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

// onBucket reports whether the request is about the bucket itself.
func (x *exchange) onBucket() bool {
	return x.path == "/" || x.action == "GetBucket"
}

// checkLength requires the Content-Length of PUT and POST. Only PUT Object may be
// chunked instead.
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

// setHeader sets a response header with the given case: COS writes ETag and
// x-cos-request-id, and case-sensitive clients rely on it.
func (x *exchange) setHeader(name, value string) {
	if x.dialect == DialectS3 {
		name = s3ResponseName(name)
	}
	x.w.Header()[name] = []string{value}
}

// writeStatus sends the status. It records the request first, so that a test that has
// the response finds it in Requests.
func (x *exchange) writeStatus(status int) {
	x.status = status
	x.s.record.cosRequest(x)
	x.w.WriteHeader(status)
}

// writeEmpty sends a response without a body.
func (x *exchange) writeEmpty(status int) error {
	if status != http.StatusNoContent && status != http.StatusNotModified {
		x.setHeader("Content-Length", "0")
	}
	x.writeStatus(status)
	return nil
}

// writeXML responds with 200 and v as XML.
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

// writeBody sends a piece of the body. It ignores errors: then the client has gone.
func (x *exchange) writeBody(s string) { _, _ = io.WriteString(x.w, s) }

// writeError sends err in COS's form. If the response has started, it breaks the
// connection.
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
		StringToSign: e.stringToSign, FormatString: e.formatString, CanonicalRequest: e.canonicalRequest,
		Resource: resource, RequestID: x.requestID, TraceID: "trace-" + x.requestID,
	})
	if err != nil {
		panic(err) // a struct of strings always marshals
	}
	return xmlHeader + string(body)
}
