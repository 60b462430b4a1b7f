package proxy

import (
	"io"
	"net/http"
	"time"

	"cosproxy/proxy/http1"
)

// response is a response from COS. Its body may be masked, verified and resumed.
type response struct {
	*http1.Response
	method  string
	body    io.Reader
	length  int64 // of body; negative: unknown
	decoded bool  // body is decoded, so Content-Encoding does not apply
}

func newResponse(r *http1.Response, method string) *response {
	return &response{Response: r, method: method, body: &r.Body, length: max(r.Length(), -1)}
}

// requestID returns the ID that COS gave the request, or nil. It may have the name of S3 if
// the request has.
func (r *response) requestID() []byte {
	if id := r.Get("x-cos-request-id"); id != nil {
		return id
	}
	return r.Get("x-amz-request-id")
}

// isEmpty reports whether the response has no body.
func (r *response) isEmpty() bool { return r.length == 0 || r.method == http.MethodHead }

// acceptsCredentials reports whether the response shows that COS accepted the
// credentials. COS does not check those of a CORS preflight.
func (r *response) acceptsCredentials() bool {
	switch r.Status {
	case http.StatusNotFound, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
	default:
		if r.Status >= http.StatusBadRequest {
			return false
		}
	}
	return r.method != http.MethodOptions
}

// maxErrorDocument is the maximum number of bytes read from an error response to find its
// code. COS's error documents are far smaller.
const maxErrorDocument = 64 << 10

// errorDocumentTimeout is the maximum time to receive an error document.
const errorDocumentTimeout = 10 * time.Second

// drop reads the rest of a short body, so that its connection can be reused, and closes
// the response.
func (r *response) drop() {
	if r.Response != nil {
		r.Discard(maxErrorDocument, errorDocumentTimeout)
		r.Response = nil
	}
}

// Close returns the connection to the pool. Another request may use it then, so the
// caller must not read the header after Close.
func (r *response) Close() {
	if r.Response != nil {
		r.Response.Close()
		r.Response = nil
	}
}

// peek returns the beginning of the body, at most maxErrorDocument bytes. The body can
// still be read from its start.
func (r *response) peek() []byte {
	r.BodyTimeout(errorDocumentTimeout)
	head, err := io.ReadAll(io.LimitReader(r.body, maxErrorDocument))
	r.BodyTimeout(0)
	r.body = &peekedBody{head: head, err: err, rest: r.body}
	return head
}

// peekedBody is a body whose beginning was read ahead.
type peekedBody struct {
	head []byte
	err  error // of reading ahead; nil: rest has more
	rest io.Reader
}

// Read implements io.Reader.
func (r *peekedBody) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.rest.Read(p)
}
