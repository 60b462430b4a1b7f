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

// accept rejects a response that cannot be a valid one of COS, such as a success before
// COS has received the complete upload.
func (r *response) accept(b *body) error {
	if r.Status < 200 {
		return coserr.New(http.StatusBadGateway, "BadGateway", "COS returned the non-final status %d. Send the request again; if this repeats, check the endpoint.", r.Status)
	}
	if !r.isSuccess(b) || b.length == 0 {
		return nil
	}
	if !b.upload.complete() || !r.Sent() {
		return coserr.New(http.StatusBadGateway, "IncompleteBody",
			"COS responded with %d before it had received the complete body, so the upload may be incomplete. Send it again.", r.Status)
	}
	if r.requestID() == nil {
		return coserr.New(http.StatusBadGateway, "BadGateway",
			"The response %d to the upload has no x-cos-request-id, so it is not from COS. Check the endpoint, and proxies between cosproxy and COS.", r.Status)
	}
	return nil
}

func (r *response) isSuccess(b *body) bool {
	return r.Status < 300 || b.form != nil && r.Status == http.StatusSeeOther
}

// respond streams COS's response to the client. After the header is sent, the only way to
// report a failure is to break the connection.
func respond(x *http1.Exchange, resp *response) error {
	if resp.length < 0 && !resp.isEmpty() && x.Request.Minor == 0 && !x.CanReset() {
		if err := resp.collect(); err != nil {
			return err
		}
	}
	w := &x.Response
	w.Start(resp.Status, string(resp.Reason))
	hasConnection := resp.Get("Connection") != nil
	for _, f := range resp.Fields {
		if hopByHop.has(f.Name) || hasConnection && connectionOption(&resp.Head, f.Name) || resp.decoded && http1.EqualFold(f.Name, "Content-Encoding") {
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

// copyTo sends the header in w and the body. For Complete Multipart Upload and Copy, COS
// sends the header at once, then blanks to keep the connection alive, then the result. So
// copyTo does not wait for the body before it sends a header without a length.
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
			r.Close() // return the connection before the client can send its next request
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

// writePiece writes a piece of the body, the first one together with the header.
func writePiece(w *http1.ResponseWriter, length int64, p []byte) error {
	if !w.Sent() {
		return w.Send(length, p)
	}
	_, err := w.Write(p)
	return err
}

// collectLimit is the maximum size of a response that collect buffers, in bytes. COS's
// listings, which have no Content-Length, are smaller.
const collectLimit = 1 << 20

// collect buffers a response of unknown length for an HTTP/1.0 client on a Unix socket.
// For HTTP/1.0 such a response ends with the connection, and a Unix socket has no reset,
// so the client could not detect a truncated response.
func (r *response) collect() error {
	var all bytes.Buffer
	_, err := io.CopyN(&all, r.body, collectLimit+1)
	switch {
	case err == nil:
		return coserr.New(http.StatusHTTPVersionNotSupported, "HTTPVersionNotSupported",
			"COS sent no Content-Length, so an HTTP/1.0 client on a Unix socket cannot detect a truncated response. Use HTTP/1.1.")
	case !errors.Is(err, io.EOF):
		return err
	}
	r.body, r.length = &all, int64(all.Len())
	return nil
}
