package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"cosproxy/proxy/internal/coserr"
)

// admission limits the requests to COS at one time. Others wait in the order in
// which they came, up to a number, and the rest is refused.
type admission struct {
	limits  Limits
	slots   *semaphore.Weighted
	bodies  *semaphore.Weighted // for bodies within bufferLimit, in bytes
	lists   *semaphore.Weighted // for longer lists of keys to delete, in bytes
	waiting atomic.Int64
	metrics *metrics
}

func newAdmission(l Limits, m *metrics) *admission {
	return &admission{
		limits: l, metrics: m,
		slots:  semaphore.NewWeighted(int64(l.Requests)),
		bodies: semaphore.NewWeighted(int64(l.Requests+l.Queued) * bufferLimit),
		lists:  semaphore.NewWeighted(deleteListMemory),
	}
}

// enter waits for a slot, which leave gives back. Its error is 503 SlowDown, as
// COS says it (COS document "Error codes"), or the cause with which ctx ended.
func (a *admission) enter(ctx context.Context) error {
	if a.slots.TryAcquire(1) {
		return nil
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > int64(a.limits.Queued) {
		return a.tooMany("queue_full", nil)
	}
	a.metrics.queued.Inc()
	defer a.metrics.queued.Dec()
	limited, cancel := context.WithTimeoutCause(ctx, a.limits.QueueTimeout, errQueueTimeout)
	defer cancel()
	if a.slots.Acquire(limited, 1) == nil {
		return nil
	}
	if !errors.Is(context.Cause(limited), errQueueTimeout) {
		return context.Cause(ctx)
	}
	return a.tooMany("queue_timeout", errQueueTimeout)
}

func (a *admission) leave() { a.slots.Release(1) }

// reservation is memory that was taken.
type reservation struct {
	from *semaphore.Weighted // nil: none
	size int64
}

func (r reservation) release() {
	if r.from != nil {
		r.from.Release(r.size)
	}
}

// reserve takes memory for so many bytes of a body that are read before the request
// has a slot. Nobody waits for it: its holder may be slow.
// Such bodies have as much as all slots and places in the queue could take, so that
// only clients that do not send what they announce can use it up.
func (a *admission) reserve(size int64) (reservation, error) {
	switch {
	case size == 0:
		return reservation{}, nil
	case size > bufferLimit:
		if a.lists.TryAcquire(size) {
			return reservation{a.lists, size}, nil
		}
		return reservation{}, a.refuse("memory", nil, coserr.New(http.StatusServiceUnavailable, "SlowDown",
			"Other lists of keys to delete take the %d MiB that there are for them. Send this one again a little later, or in lists of up to %d KiB.",
			deleteListMemory>>20, bufferLimit>>10))
	case a.bodies.TryAcquire(size):
		return reservation{a.bodies, size}, nil
	}
	return reservation{}, a.refuse("memory", nil, coserr.New(http.StatusServiceUnavailable, "SlowDown",
		"Other request bodies take the memory that there is for them, maybe those of clients that do not send what they have announced.").
		Try("Send this one again a little later, or raise", Setting{Name: "Limits.Requests"}, Setting{Name: "Limits.Queued"}))
}

var errQueueTimeout = errors.New("no request ended in time")

func (a *admission) tooMany(reason string, cause error) error {
	return a.refuse(reason, cause, coserr.New(http.StatusServiceUnavailable, "SlowDown",
		"The limit of %d concurrent requests is reached and the queue is full.", a.limits.Requests).
		Try("Send this one again a little later, or raise", Setting{Name: "Limits.Requests"}, Setting{Name: "Limits.Queued"}))
}

func (a *admission) refuse(reason string, cause error, err *coserr.Error) error {
	a.metrics.refused.WithLabelValues(reason).Inc()
	err.RetryAfter, err.Err = time.Second, cause
	return err
}
