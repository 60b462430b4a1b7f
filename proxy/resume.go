package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxFruitless is how many resumptions in a row may bring no byte.
const maxFruitless = 3

var errObjectChanged = errors.New("the object was changed during its download, which had broken off")

// resumable returns the body of a download that is continued where it breaks
// off: the rest is asked for with Range, and with If-Match on the entity tag
// (RFC 9110, 14.2 and 13.1.1), so that the bytes are of one object. Of answers
// that cannot be continued the body is returned as it is.
func (x *exchange) resumable(resp *http.Response) io.ReadCloser {
	etag := first(resp.Header["Etag"])
	if !x.target.readsObject() || !strings.HasPrefix(etag, `"`) || resp.ContentLength <= 0 {
		return resp.Body
	}
	part := byteRange{0, resp.ContentLength - 1, resp.ContentLength}
	if resp.StatusCode == http.StatusPartialContent {
		var ok bool
		if part, ok = parseContentRange(resp.Header); !ok || part.length() != resp.ContentLength {
			return resp.Body
		}
	} else if resp.StatusCode != http.StatusOK {
		return resp.Body
	}
	return &resumed{ReadCloser: resp.Body, x: x, etag: etag, rest: part}
}

// readsObject reports whether t is a GET of an object as it is stored. Other
// parameters may ask for a picture that is made anew for each request.
func (t target) readsObject() bool {
	if t.op.action != actionPrefix+"GetObject" {
		return false
	}
	return !t.query.processes()
}

// resumed is a download that survives the loss of its connection.
type resumed struct {
	io.ReadCloser
	x         *exchange
	etag      string
	rest      byteRange // what is still to come
	broken    error     // what the connection failed with
	fruitless int
}

// Read implements io.Reader.
func (b *resumed) Read(p []byte) (int, error) {
	for b.broken != nil {
		if err := b.resume(); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.rest.first += int64(n)
	if n > 0 {
		b.fruitless = 0
	}
	if err == nil || b.rest.length() == 0 || b.x.ctx.Err() != nil {
		return n, err
	}
	if err == io.EOF { // of a rest in chunks, which is shorter than it said
		err = io.ErrUnexpectedEOF
	}
	b.broken = err // with n bytes in hand first
	if n > 0 {
		return n, nil
	}
	return b.Read(p)
}

// resume asks for the rest. It returns what the connection failed with if that
// cannot be had, and nil after an attempt that may be repeated.
func (b *resumed) resume() error {
	u := &b.x.target.route.upstream
	if b.fruitless == maxFruitless || !u.budget.spend() || !wait(b.x.ctx, jitter(b.fruitless)) {
		return b.broken
	}
	u.metrics.retried("download")
	b.fruitless++
	b.Close()
	resp, err := u.send(&delivery{req: b.request(), idempotent: true, tries: maxRetries}) // here is who retries
	if err != nil {
		return nil
	}
	got, ok := parseContentRange(resp.Header)
	switch {
	case resp.StatusCode == http.StatusPartialContent && ok && got == b.rest && first(resp.Header["Etag"]) == b.etag:
		b.ReadCloser, b.broken = resp.Body, nil
		return nil
	case resp.StatusCode == http.StatusPreconditionFailed || resp.StatusCode == http.StatusNotFound || ok:
		resp.Body.Close()
		return errObjectChanged
	case resp.StatusCode >= http.StatusInternalServerError:
		resp.Body.Close()
		return nil
	}
	resp.Body.Close()
	return fmt.Errorf("%w; asked for the rest, COS answered %d", b.broken, resp.StatusCode)
}

func (b *resumed) request() *http.Request {
	out := b.x.out
	req := out.WithContext(b.x.ctx)
	req.Header = out.Header.Clone()
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		delete(req.Header, name) // the client's condition was met when the download began
	}
	delete(req.Header, "Connection") // of the attempt before
	req.Header["If-Match"] = []string{b.etag}
	req.Header["Range"] = []string{fmt.Sprintf("bytes=%d-%d", b.rest.first, b.rest.last)}
	return req
}

// byteRange is a part of an object of size bytes, first and last included.
type byteRange struct{ first, last, size int64 }

func (r byteRange) length() int64 { return r.last - r.first + 1 }

// parseContentRange reads the Content-Range of a single part (RFC 9110, 14.4).
func parseContentRange(h http.Header) (r byteRange, ok bool) {
	text, ok := strings.CutPrefix(first(h["Content-Range"]), "bytes ")
	if !ok {
		return r, false
	}
	bounds, size, _ := strings.Cut(text, "/")
	from, to, _ := strings.Cut(bounds, "-")
	for _, field := range []struct {
		text string
		n    *int64
	}{{from, &r.first}, {to, &r.last}, {size, &r.size}} {
		n, err := strconv.ParseUint(field.text, 10, 62)
		if err != nil {
			return r, false
		}
		*field.n = int64(n)
	}
	return r, r.first <= r.last && r.last < r.size
}
