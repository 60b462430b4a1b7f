package proxy

import (
	"cmp"
	"time"

	"cosproxy/proxy/http1"
)

// Limits cap the resources that clients can use. Zero values mean the defaults.
type Limits struct {
	// Requests is the maximum number of concurrent requests to COS. Zero means 1024.
	Requests int
	// Queued is the maximum number of queued requests. Zero, the default, means as many
	// as Requests; it does not disable the queue. A negative number, such as -1, does.
	Queued int
	// QueueTimeout is the maximum time in the queue. Zero means 10 seconds.
	QueueTimeout time.Duration
	// HeaderBytes is the maximum length of request line and header fields in total, in
	// bytes. It also limits the number of fields to one per 256 bytes, but at least 100.
	// Zero means 64 KiB, and so 256 fields.
	HeaderBytes int
	// BodyBytes is the maximum length of a request body, in bytes. Zero means no limit
	// other than that of COS.
	BodyBytes int64
	// StallTimeout is the idle timeout of request and response bodies, and the maximum
	// time until COS's response begins. A request body stalls if less than 1 KiB arrives
	// in this time; a response body, if the client does not take a piece of at most
	// 256 KiB in this time. Zero means one minute.
	StallTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Requests = cmp.Or(l.Requests, 1024)
	l.Queued = max(cmp.Or(l.Queued, l.Requests), 0)
	l.QueueTimeout = cmp.Or(l.QueueTimeout, 10*time.Second)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 64<<10)
	l.StallTimeout = cmp.Or(l.StallTimeout, time.Minute)
	return l
}

const (
	minHeaderFields     = 100
	bytesPerHeaderField = 256
)

// headerFields returns the maximum number of header fields. Without this limit, a header
// of very short fields would need many times its length in memory.
func (l Limits) headerFields() int {
	return max(minHeaderFields, l.HeaderBytes/bytesPerHeaderField)
}

// head returns the limits of a request header for package http1.
func (l Limits) head() http1.Limits {
	return http1.Limits{HeadBytes: l.HeaderBytes, LineBytes: l.HeaderBytes - len("\r\n"), Fields: l.headerFields()}
}
