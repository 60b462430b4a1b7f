package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cosproxy/proxy/internal/cosreq"
)

// maxEmptyResumes is the maximum number of resumptions in a row without a byte.
const maxEmptyResumes = 3

var errObjectChanged = errors.New("the object changed while its interrupted download was resumed")

// resume makes the body of a download resume if its connection fails: it requests the
// rest with Range, and with If-Match on the entity tag (RFC 9110, 14.2 and 13.1.1), so
// that all bytes are of one object. It does nothing for responses that cannot be resumed.
// layer is memory for the new body.
func (r *response) resume(c *candidate, o *outgoing, layer *resumed) {
	if r.length <= 0 || int64(r.Body.Buffered()) == r.length { // empty or received already
		return
	}
	etag := string(r.Get("ETag"))
	if !readsObject(c) || !strings.HasPrefix(etag, `"`) {
		return
	}
	part := byteRange{0, r.length - 1, r.length}
	switch r.Status {
	case http.StatusPartialContent:
		var ok bool
		if part, ok = r.contentRange(); !ok || part.length() != r.length {
			return
		}
	case http.StatusOK:
	default:
		return
	}
	*layer = resumed{response: r, body: r.body, out: o, etag: etag, rest: part}
	r.body = layer
}

// readsObject reports whether c is a GET of an object as it is stored, and not of a
// picture that COS processes for each request.
func readsObject(c *candidate) bool { return c.op.Action == cosreq.GetObject && !c.query.Processes() }

// resumed is the body of a download that is resumed if its connection fails.
type resumed struct {
	response *response // gets the response of each resumption
	body     io.Reader
	out      *outgoing
	etag     string
	rest     byteRange // not yet received
	connErr  error     // of the failed connection
	empty    int       // resumptions in a row without a byte
}

// Read implements io.Reader.
func (b *resumed) Read(p []byte) (int, error) {
	for {
		for b.connErr != nil {
			if err := b.resume(); err != nil {
				return 0, err
			}
		}
		n, err := b.body.Read(p)
		b.rest.first += int64(n)
		if n > 0 {
			b.empty = 0
		}
		if err == nil || b.rest.length() == 0 || b.out.ctx.Err() != nil {
			return n, err
		}
		if errors.Is(err, io.EOF) { // a chunked rest was shorter than its Content-Range
			err = io.ErrUnexpectedEOF
		}
		b.connErr = err
		if n > 0 {
			return n, nil
		}
	}
}

// resume requests the rest. It returns nil after a success, and after a failure that may
// be retried. It returns the error of the connection if it gives up, and errObjectChanged
// if COS no longer has the same object.
func (b *resumed) resume() error {
	o := b.out
	if b.empty == maxEmptyResumes || !o.route.budget.spend() || !wait(o.ctx, jitter(b.empty)) {
		return b.connErr
	}
	o.metrics.retried("download")
	b.empty++
	b.response.Close()
	again := outgoing{
		route: o.route, upstream: o.upstream, spare: o.spare, head: b.head(), idempotent: true, now: o.now, metrics: o.metrics,
		canceler: o.canceler, ctx: o.ctx, wire: newWire(), retries: maxRetries, // Read retries instead
	}
	resp, err := again.send()
	if o.isHostFailure(resp, err) { // again has no retries, so it did not switch
		o.switchHost()
	}
	if err != nil {
		return nil //nolint:nilerr // Read tries again; the last attempt returns connErr
	}
	got, ok := resp.contentRange()
	switch {
	case resp.Status == http.StatusPartialContent && ok && got == b.rest && string(resp.Get("ETag")) == b.etag:
		b.response.Response, b.body, b.connErr = resp.Response, resp.body, nil
		return nil
	case resp.Status == http.StatusPreconditionFailed || resp.Status == http.StatusNotFound || ok:
		resp.Close()
		return errObjectChanged
	case resp.Status >= http.StatusInternalServerError:
		resp.Close()
		return nil
	}
	status := resp.Status
	resp.Close()
	return fmt.Errorf("%w; COS responded with %d to the request for the rest", b.connErr, status)
}

// conditions are the conditional header fields. They apply to the beginning of a download
// and are not part of requests for the rest. S3 requests that write cannot have them.
var conditions = newFieldSet("If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "If-Match")

func (b *resumed) head() outbound {
	head := b.out.head.with(fmt.Sprintf("bytes=%d-%d", b.rest.first, b.rest.last), conditions)
	head.add(fieldIfMatch, []byte(b.etag))
	return head
}

// byteRange is the part of an object of size bytes from first to last, inclusive.
type byteRange struct{ first, last, size int64 }

func (r byteRange) length() int64 { return r.last - r.first + 1 }

// contentRange parses the Content-Range of a single part (RFC 9110, 14.4).
func (r *response) contentRange() (part byteRange, ok bool) {
	text, ok := strings.CutPrefix(string(r.Get("Content-Range")), "bytes ")
	if !ok {
		return part, false
	}
	bounds, size, _ := strings.Cut(text, "/")
	from, to, _ := strings.Cut(bounds, "-")
	for _, field := range []struct {
		text string
		n    *int64
	}{{from, &part.first}, {to, &part.last}, {size, &part.size}} {
		n, err := strconv.ParseUint(field.text, 10, 62)
		if err != nil {
			return part, false
		}
		*field.n = int64(n)
	}
	return part, part.first <= part.last && part.last < part.size
}
