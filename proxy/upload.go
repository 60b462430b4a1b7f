package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// upload is a request body on its way to COS. It counts, and it remembers
// whether the client's side failed, so that a broken upload is told from a
// broken upstream. net/http reads it from a goroutine of its own.
type upload struct {
	r      *http.Request
	count  atomic.Int64
	ended  atomic.Bool           // the client sent all that it announced
	failed atomic.Pointer[error] // what the client's side failed with
}

// body is what the outbound request carries: nil where the client sent none,
// so that net/http announces no length for GET, HEAD and DELETE.
func (u *upload) body() io.ReadCloser {
	if u.r.ContentLength == 0 || u.r.Body == nil {
		return nil
	}
	return u
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.r.Body.Read(p)
	total := u.count.Add(int64(n))
	switch {
	case err == io.EOF, total == u.r.ContentLength:
		u.ended.Store(true)
	case err != nil:
		u.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close does nothing: the server that made the request closes its body. The
// transport's Close may come after the handler has returned.
func (u *upload) Close() error { return nil }

// whole reports whether all that the client announced has been read.
func (u *upload) whole() bool { return u.r.ContentLength == 0 || u.ended.Load() }

// clientErr returns what reading from the client failed with, or nil. A body
// closed under the transport, which is the end of the exchange and not its
// cause, does not count.
func (u *upload) clientErr() error {
	if err := u.failed.Load(); err != nil && !errors.Is(*err, http.ErrBodyReadAfterClose) {
		return *err
	}
	return nil
}
