package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// replayLimit is the length up to which a body is read before the request is
// sent, so that it can be sent again: on another connection if COS has just
// closed an idle one, and with another key if COS rejects the first.
const replayLimit = 64 << 10

// firstPiece is the memory that such a body has at first.
const firstPiece = 8 << 10

// upload is a request body on its way to COS. It counts, and it remembers
// whether the client's side failed, so that a broken upload is told from a
// broken upstream. net/http reads it from a goroutine of its own.
type upload struct {
	r         *http.Request
	limits    Limits
	watchdog  *watchdog               // nil without a body
	small     []byte                  // the whole body, if it is within replayLimit
	summed    bool                    // crc is kept
	crc       uint64                  // of what was read; complete once ended is set
	ahead     []byte                  // of a body in chunks, read to learn its length
	endsAhead bool                    // the body ends with ahead
	form      *form                   // what the body is, if it is a form upload
	end       context.CancelCauseFunc // of the exchange

	count       atomic.Int64
	waiting     atomic.Bool           // for the client
	interrupted atomic.Bool           // by interrupt
	ended       atomic.Bool           // the client sent all that it announced
	failed      atomic.Pointer[error] // what the client's side failed with
}

// empty reports whether the client sent no body at all.
func (u *upload) empty() bool { return u.r.ContentLength == 0 || u.r.Body == nil }

// load reads a body of at most limit bytes whole.
func (u *upload) load(limit int64) error {
	if u.r.ContentLength <= 0 || u.r.ContentLength > limit || u.small != nil {
		return nil
	}
	defer u.watchdog.stop()
	// What has only been announced takes no memory.
	body := bytes.NewBuffer(make([]byte, 0, min(u.r.ContentLength+bytes.MinRead, firstPiece)))
	first := min(u.r.ContentLength, replayLimit)
	if _, err := io.CopyN(body, u, first); err != nil {
		return err
	}
	if rest := u.r.ContentLength - first; rest > 0 {
		body.Grow(int(rest) + bytes.MinRead)
		if _, err := io.CopyN(body, u, rest); err != nil {
			return err
		}
	}
	u.small = body.Bytes()
	return nil
}

// stalled says whose fault it is that the body stands still.
func (u *upload) stalled() error {
	if u.waiting.Load() {
		return errClientStalled
	}
	return errStalled
}

// attach gives the body to the outbound request: none where the client sent
// none, so that net/http announces no length for GET, HEAD and DELETE.
func (u *upload) attach(out *http.Request) {
	out.Body, out.GetBody = nil, nil
	switch {
	case u.small != nil:
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(u.small)), nil }
		out.Body, _ = out.GetBody()
	case !u.empty():
		out.Body = u
	}
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	if len(u.ahead) > 0 { // counted already
		n := copy(p, u.ahead)
		if u.ahead = u.ahead[n:]; len(u.ahead) == 0 {
			u.ahead = nil // its memory is of no use any more
			u.ended.Store(u.endsAhead)
		}
		return n, nil
	}
	if u.ended.Load() { // net/http asks once more, maybe when COS has answered already
		return 0, io.EOF
	}
	u.watchdog.start()
	u.waiting.Store(true)
	if u.interrupted.Load() {
		u.waiting.Store(false)
		return 0, errUpstreamClosed
	}
	n, err := u.r.Body.Read(p)
	u.waiting.Store(false)
	u.watchdog.moved(n)
	if u.summed {
		u.crc = updateCRC(u.crc, p[:n])
	}
	total := u.count.Add(int64(n))
	if large := u.limits.checkBody(total); large != nil {
		return 0, large
	}
	switch {
	case err == io.EOF, total == u.r.ContentLength:
		u.ended.Store(true)
	case err != nil:
		failed := Unquoted(err)
		u.failed.CompareAndSwap(nil, &failed)
	}
	return n, err
}

// interrupt ends a wait for the client, since COS takes no more of the body.
func (u *upload) interrupt() {
	u.interrupted.Store(true)
	if u.waiting.Load() {
		u.end(errUpstreamClosed)
	}
}

// sum returns the CRC-64 of what COS has to store; ok is false if it is not known.
// It must not be asked before all was read.
func (u *upload) sum() (crc uint64, ok bool) {
	if u.form != nil {
		return u.form.sum.value()
	}
	return u.crc, u.summed
}

// Close does nothing: the server that made the request closes its body. The
// transport's Close may come after the handler has returned.
func (u *upload) Close() error { return nil }

// whole reports whether all that the client announced has been read.
func (u *upload) whole() bool { return u.empty() || u.ended.Load() }

// clientErr returns what reading from the client failed with, or nil. A body
// closed under the transport, which is the end of the exchange and not its
// cause, does not count.
func (u *upload) clientErr() error {
	if err := u.failed.Load(); err != nil && !errors.Is(*err, http.ErrBodyReadAfterClose) {
		return *err
	}
	return nil
}
