package proxy

import (
	"cmp"
	"net/http"
	"time"
)

// Limits bound what one client can take from the others, and all of them from
// the machine. Zero values mean the defaults.
type Limits struct {
	// Requests is how many may be with COS at once. Zero means 1024.
	Requests int
	// Queued is how many more may wait for their turn. Zero means as many as
	// Requests, and a negative number none.
	Queued int
	// QueueTimeout is how long one may wait. Zero means 10 seconds.
	QueueTimeout time.Duration
	// RequestLine is the length of a request line in bytes. Zero means 16 KiB: a
	// key of 850 bytes is 2550 when escaped (COS document "Specifications and
	// limits").
	RequestLine int
	// Headers is how many header fields a request may have. Zero means 100.
	Headers int
	// Body is the length of a request body in bytes. Zero leaves it to COS.
	Body int64
	// StallTimeout is how long a body may stand still, either way, before the
	// exchange is ended. One that comes from a client stands still with less than
	// 1 KiB in this time; one that goes there, if it does not take what is read of
	// it at once, 256 KiB at most. Zero means one minute.
	StallTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Requests = cmp.Or(l.Requests, 1024)
	l.Queued = max(cmp.Or(l.Queued, l.Requests), 0)
	l.QueueTimeout = cmp.Or(l.QueueTimeout, 10*time.Second)
	l.RequestLine = cmp.Or(l.RequestLine, 16<<10)
	l.Headers = cmp.Or(l.Headers, 100)
	l.StallTimeout = cmp.Or(l.StallTimeout, time.Minute)
	return l
}

// check refuses what is too long already by its header.
func (l Limits) check(r *http.Request) error {
	if len(r.Method)+len(r.RequestURI)+len(r.Proto)+len("  ") > l.RequestLine {
		return errorf(http.StatusRequestURITooLong, "RequestURITooLong",
			"The request line is longer than %d bytes. Send a shorter one, or raise COSPROXY_MAX_REQUEST_LINE.", l.RequestLine)
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > l.Headers {
		return errorf(http.StatusRequestHeaderFieldsTooLarge, "RequestHeaderFieldsTooLarge",
			"The request has more than %d header fields. Send fewer, or raise COSPROXY_MAX_HEADERS.", l.Headers)
	}
	return l.checkBody(r.ContentLength)
}

// checkBody refuses a body of which so much is announced, or has come.
func (l Limits) checkBody(length int64) error {
	if l.Body == 0 || length <= l.Body {
		return nil
	}
	return errorf(http.StatusRequestEntityTooLarge, "EntityTooLarge",
		"The request body is larger than %d bytes; nothing was stored. Upload it in parts, or raise COSPROXY_MAX_BODY.", l.Body)
}
