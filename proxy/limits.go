package proxy

import (
	"cmp"
	"time"

	"cosproxy/proxy/http1"
)

// Limits bound what one client can take from the others, and all of them from
// the machine. Zero values mean the defaults.
type Limits struct {
	// Requests is the maximum of concurrent requests to COS. Zero means 1024.
	Requests int
	// Queued is the maximum of further requests that wait for a slot. Zero means as
	// many as Requests, and a negative number none.
	Queued int
	// QueueTimeout is how long one may wait. Zero means 10 seconds.
	QueueTimeout time.Duration
	// HeaderBytes is the maximum length of the request line and the header fields
	// together, in bytes. It also limits the number of fields: one for every 256
	// bytes, but never fewer than 100. Zero means 64 KiB and so 256 fields.
	HeaderBytes int
	// BodyBytes is the length of a request body in bytes. Zero leaves it to COS.
	BodyBytes int64
	// StallTimeout is how long a body may stall, either way, before the request is
	// ended. One from a client stalls with less than 1 KiB in this time; one to a
	// client, if it does not take what is read of it at once, 256 KiB at most. It is
	// also how long COS may take to begin its response. Zero means one minute.
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

// headerFields is the maximum number of header fields. Without it, a header of very
// short fields would take many times its length in memory.
func (l Limits) headerFields() int {
	return max(minHeaderFields, l.HeaderBytes/bytesPerHeaderField)
}

// head is the limits of a request's head for package http1.
func (l Limits) head() http1.Limits {
	return http1.Limits{HeadBytes: l.HeaderBytes, LineBytes: l.HeaderBytes - len("\r\n"), Fields: l.headerFields()}
}
