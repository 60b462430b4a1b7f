package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// respond streams COS's answer to the client. Once the header is out, the only
// way left to report a failure is to break the connection: it then panics with
// http.ErrAbortHandler, which net/http knows.
func (p *Proxy) respond(x *exchange, resp *http.Response) error {
	defer func() { resp.Body.Close() }()
	if resp.StatusCode < 200 {
		return errorf(http.StatusBadGateway, "BadGateway", "COS answered with the status %d, which ends no request.", resp.StatusCode)
	}
	accepted := resp.StatusCode < 300 || x.upload.form != nil && resp.StatusCode == http.StatusSeeOther
	if accepted && !x.upload.whole() {
		return errorf(http.StatusBadGateway, "IncompleteBody",
			"COS answered %d before it had the whole body, so the upload cannot be trusted. Send it again.", resp.StatusCode)
	}
	if accepted && !x.upload.empty() && len(resp.Header["X-Cos-Request-Id"]) == 0 {
		return errorf(http.StatusBadGateway, "BadGateway",
			"The answer %d to the upload has no x-cos-request-id, so it is not from COS. Check the endpoint and what stands on the way.", resp.StatusCode)
	}
	resp.Body = x.resumable(resp)
	if accepted && p.checksums {
		if err := x.check(resp); err != nil {
			return err
		}
	}
	if err := x.collect(resp); err != nil {
		return err
	}
	copyResponseHeader(x.w.Header(), resp.Header)
	defer x.hangUpIfUnread()()
	x.requestID = first(resp.Header["X-Cos-Request-Id"])
	x.status = resp.StatusCode
	x.w.WriteHeader(resp.StatusCode)
	if err := p.stream(x, resp); err != nil {
		x.err, x.aborted = err, true
		x.abort()
		panic(http.ErrAbortHandler)
	}
	return nil
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// stream copies the body and flushes after each piece. COS answers Complete
// and Copy with a header at once, then blanks to keep the connection alive,
// then the result, so the header of a body of unknown length goes out first.
func (p *Proxy) stream(x *exchange, resp *http.Response) error {
	if resp.ContentLength == 0 || x.r.Method == http.MethodHead {
		return nil
	}
	buf, release := getBuffer(resp.ContentLength)
	defer release()
	watchdog := newWatchdog(p.limits.StallTimeout, func() { x.end(errStalled) })
	watchdog.start()
	defer watchdog.stop()
	defer unblockWrites(x.ctx, x.w)()
	if resp.ContentLength < 0 {
		_ = x.flush() // which waits for who has not read the answers before
	}
	for {
		n, rerr := resp.Body.Read(buf)
		watchdog.moved(leastProgress) // the blanks that COS sends while it works count too
		if n > 0 {
			wn, werr := x.w.Write(buf[:n])
			x.bytesOut += int64(wn)
			if werr == nil && x.bytesOut != resp.ContentLength {
				werr = x.flush()
			}
			if werr != nil {
				return x.cause(errClient{werr})
			}
			watchdog.moved(leastProgress)
		}
		if rerr == io.EOF { // a wrapped one would be a failure
			return nil
		}
		if rerr != nil {
			return x.cause(Unquoted(rerr))
		}
	}
}

// cause is why the exchange ended, if it did, since then err is only how that
// showed.
func (x *exchange) cause(err error) error {
	switch cause := context.Cause(x.ctx); {
	case cause == nil:
		return err
	case errors.Is(cause, context.Canceled):
		return errClient{cause}
	default:
		return cause
	}
}

// abort makes the end of the connection look like a failure to HTTP/1.0
// clients too, for which a clean end is the end of the body.
func (x *exchange) abort() {
	c, ok := connOf(x.r)
	if !ok || x.r.ProtoAtLeast(1, 1) {
		return
	}
	c.reset()
}

// copyResponseHeader takes over the end-to-end headers under the names that
// COS gives them: net/http reads ETag as Etag and x-cos-request-id as
// X-Cos-Request-Id, and there are clients that compare names case by case.
func copyResponseHeader(dst, src http.Header) {
	named := connectionOptions(src)
	for k, v := range src {
		if hopByHop[k] || named[k] {
			continue
		}
		dst[cosHeaderName(k)] = v
	}
	if _, ok := dst["Content-Type"]; !ok {
		dst["Content-Type"] = nil // or net/http would guess one
	}
}

// cosHeaderName restores COS's spelling of a canonical header name.
func cosHeaderName(canonical string) string {
	switch canonical {
	case "Etag":
		return "ETag"
	case "Content-Md5":
		return "Content-MD5"
	case "X-Cos-Request-Id":
		return "x-cos-request-id"
	case "X-Cos-Hash-Crc64ecma":
		return "x-cos-hash-crc64ecma"
	}
	if strings.HasPrefix(canonical, "X-Cos-") || strings.HasPrefix(canonical, "X-Ci-") {
		return strings.ToLower(canonical)
	}
	return canonical
}
