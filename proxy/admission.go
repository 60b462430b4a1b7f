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

// admission limits concurrent requests to COS. It queues further requests in the order of
// their arrival, and rejects requests if the queue is full.
type admission struct {
	limits  Limits
	slots   *semaphore.Weighted
	bodies  *semaphore.Weighted // bytes for bodies up to bufferLimit
	lists   *semaphore.Weighted // bytes for longer delete lists
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

// enter waits for a slot; leave releases it. The error is 503 SlowDown, as in COS (COS
// document "Error codes"), or the cause of the end of ctx.
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

// reservation is reserved body memory. The zero value reserves nothing.
type reservation struct {
	from *semaphore.Weighted
	size int64
}

func (r reservation) release() {
	if r.from != nil {
		r.from.Release(r.size)
	}
}

// reserve reserves memory for the bytes of a body that are read before the request has a
// slot. It never waits, because a client that holds memory may be slow. There is enough
// for one body per slot and queued request, so only clients that announce bodies and do
// not send them can exhaust it.
func (a *admission) reserve(size int64) (reservation, error) {
	switch {
	case size == 0:
		return reservation{}, nil
	case size > bufferLimit:
		if a.lists.TryAcquire(size) {
			return reservation{a.lists, size}, nil
		}
		return reservation{}, a.reject("memory", nil, coserr.New(http.StatusServiceUnavailable, "SlowDown",
			"The %d MiB of memory for delete lists are in use. Send this request again later, or split the list into lists of at most %d KiB.",
			deleteListMemory>>20, bufferLimit>>10))
	case a.bodies.TryAcquire(size):
		return reservation{a.bodies, size}, nil
	}
	return reservation{}, a.reject("memory", nil, coserr.New(http.StatusServiceUnavailable, "SlowDown",
		"The memory for request bodies is in use, possibly by clients that announce bodies and do not send them.").
		Try("Send this request again later, or raise", Setting{Name: "Limits.Requests"}, Setting{Name: "Limits.Queued"}))
}

var errQueueTimeout = errors.New("timeout in the queue for a concurrency slot")

func (a *admission) tooMany(reason string, cause error) error {
	return a.reject(reason, cause, coserr.New(http.StatusServiceUnavailable, "SlowDown",
		"The limit of %d concurrent requests is reached, and the queue is full or did not move in time.", a.limits.Requests).
		Try("Send this request again later, or raise", Setting{Name: "Limits.Requests"}, Setting{Name: "Limits.Queued"}))
}

func (a *admission) reject(reason string, cause error, err *coserr.Error) error {
	a.metrics.slowDowns.WithLabelValues(reason).Inc()
	err.RetryAfter, err.Err = time.Second, cause
	return err
}
