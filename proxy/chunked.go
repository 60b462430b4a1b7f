package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// measure reads a body in chunks up to replayLimit. One that ends there has a length
// from then on, so that COS takes it for every operation and it can be sent again; an
// empty one is none (RFC 9112, 6.3). Of a longer one, what was read comes first when
// the body is sent. A client that waits for 100 Continue with an upload that COS
// takes in chunks is not asked for the body before COS has agreed.
func (x *exchange) measure() error {
	u := &x.upload
	if !x.measures() {
		return nil
	}
	defer u.watchdog.stop()
	var body bytes.Buffer
	_, err := io.CopyN(&body, u, replayLimit+1)
	switch {
	case err == nil:
		u.ahead, u.endsAhead = body.Bytes(), u.ended.Swap(false)
		return nil
	case !errors.Is(err, io.EOF):
		return err
	}
	x.r.ContentLength, x.r.TransferEncoding = int64(body.Len()), nil
	if body.Len() == 0 {
		x.r.Body = http.NoBody
		return nil
	}
	u.small = body.Bytes()
	return nil
}

// measures reports whether measure reads the body.
func (x *exchange) measures() bool {
	return x.r.ContentLength < 0 && (!x.target.takesChunks(x.r) || x.r.Header["Expect"] == nil)
}

// takesChunks reports whether COS takes the body of r without a length (COS document
// "PUT Object").
func (t target) takesChunks(r *http.Request) bool {
	return t.op.action == actionPrefix+"PutObject" && r.Header.Get("X-Cos-Copy-Source") == ""
}
