package proxy

import (
	"cmp"
	"time"
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
	// RequestLine is the length of a request line in bytes. Zero means 16 KiB: a
	// key of 850 bytes is 2550 when escaped (COS document "Specifications and
	// limits").
	RequestLine int
	// Headers is the number of header fields of a request besides Host. Zero means 100.
	Headers int
	// HeaderBytes is the length of request line and header fields together. Zero
	// means 64 KiB.
	HeaderBytes int
	// Body is the length of a request body in bytes. Zero leaves it to COS.
	Body int64
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
	l.RequestLine = cmp.Or(l.RequestLine, 16<<10)
	l.Headers = cmp.Or(l.Headers, 100)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 64<<10)
	l.StallTimeout = cmp.Or(l.StallTimeout, time.Minute)
	return l
}
