package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// accept refuses a response that does not fit the request: above all a success of an
// upload that cannot be one.
func (r *response) accept(b *body) error {
	if r.Status < 200 {
		return coserr.New(http.StatusBadGateway, "BadGateway", "COS returned the non-final status %d.", r.Status)
	}
	if !r.isSuccess(b) || b.length == 0 {
		return nil
	}
	if !b.upload.complete() || !r.Sent() {
		return coserr.New(http.StatusBadGateway, "IncompleteBody",
			"COS responded with %d before it had the whole body, so the upload cannot be trusted. Send it again.", r.Status)
	}
	if r.Get("x-cos-request-id") == nil {
		return coserr.New(http.StatusBadGateway, "BadGateway",
			"The response %d to the upload has no x-cos-request-id, so it is not from COS. Check the endpoint and the proxies before it.", r.Status)
	}
	return nil
}

func (r *response) isSuccess(b *body) bool {
	return r.Status < 300 || b.form != nil && r.Status == http.StatusSeeOther
}

// respond streams COS's response to the client. Once the head is sent, a failure can
// only be reported by breaking the connection.
func respond(x *http1.Exchange, resp *response) error {
	if resp.length < 0 && !resp.isEmpty() && x.Request.Minor == 0 && !x.CanReset() {
		if err := resp.collect(); err != nil {
			return err
		}
	}
	w := &x.Response
	w.Start(resp.Status, string(resp.Reason))
	named := resp.Get("Connection") != nil
	for _, f := range resp.Fields {
		if hopByHop.has(f.Name) || named && connectionOption(&resp.Head, f.Name) || resp.decoded && http1.EqualFold(f.Name, "Content-Encoding") {
			continue
		}
		w.Copy(f)
	}
	if resp.Get("Date") == nil { // RFC 9110, 6.6.1
		w.Field("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	length := resp.length
	if resp.method == http.MethodHead || resp.Status == http.StatusNotModified {
		length = resp.AnnouncedLength()
	}
	if resp.isEmpty() {
		resp.Close()
		if err := w.Send(length, nil); err != nil {
			return &clientError{err}
		}
		return nil
	}
	return resp.copyTo(w, length)
}

// copyTo sends the head that w has, and the body. COS sends the head of the response
// to Complete and Copy at once, then blanks to keep the connection alive, then the
// result, so the head of a body of unknown length is sent first.
func (r *response) copyTo(w *http1.ResponseWriter, length int64) error {
	piece := http1.BorrowPiece(length)
	defer piece.Return()
	if length < 0 && r.Body.Buffered() == 0 {
		if err := w.Send(length, nil); err != nil {
			return &clientError{err}
		}
	}
	for sent := int64(0); ; {
		n, err := r.body.Read(piece.Bytes)
		if sent += int64(n); sent == length || errors.Is(err, io.EOF) {
			r.Close() // the next request of the client may use its connection
		}
		if n > 0 || errors.Is(err, io.EOF) && !w.Sent() {
			if err := writePiece(w, length, piece.Bytes[:n]); err != nil {
				return &clientError{err}
			}
		}
		switch {
		case errors.Is(err, io.EOF), sent == length:
			return nil
		case err != nil:
			return err
		}
	}
}

// writePiece sends the head with the first piece.
func writePiece(w *http1.ResponseWriter, length int64, p []byte) error {
	if !w.Sent() {
		return w.Send(length, p)
	}
	_, err := w.Write(p)
	return err
}

// collectLimit bounds how much of a response is collected for an HTTP/1.0 client on a
// Unix socket, in bytes. COS's lists, which have no length, are smaller.
const collectLimit = 1 << 20

// collect gives a response of unknown length a length where the client could not
// tell that it is cut: for HTTP/1.0 it ends with the connection, and a Unix socket
// cannot be reset.
func (r *response) collect() error {
	var all bytes.Buffer
	_, err := io.CopyN(&all, r.body, collectLimit+1)
	switch {
	case err == nil:
		return coserr.New(http.StatusHTTPVersionNotSupported, "HTTPVersionNotSupported",
			"COS gives no length for this response, and over HTTP/1.0 on a Unix socket a client cannot tell whether it is complete. Ask with HTTP/1.1.")
	case !errors.Is(err, io.EOF):
		return err
	}
	r.body, r.length = &all, int64(all.Len())
	return nil
}
