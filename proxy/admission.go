package proxy

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// admission lets so many requests at once to COS, has so many more wait in the
// order in which they came, and refuses the rest.
type admission struct {
	limits  Limits
	slots   *semaphore.Weighted
	bodies  *semaphore.Weighted // for bodies within replayLimit, in bytes
	memory  *semaphore.Weighted // for longer lists of keys to delete, in bytes
	waiting atomic.Int64
	metrics *metrics
}

func newAdmission(l Limits, m *metrics) *admission {
	return &admission{
		limits: l, metrics: m,
		slots:  semaphore.NewWeighted(int64(l.Requests)),
		bodies: semaphore.NewWeighted(int64(l.Requests+l.Queued) * replayLimit),
		memory: semaphore.NewWeighted(multiDeleteMemory),
	}
}

// enter waits for a slot, which leave gives back. Its error is 503 SlowDown, as
// COS says it (COS document "Error codes"), or that ctx ended.
func (a *admission) enter(ctx context.Context) error {
	if a.slots.TryAcquire(1) {
		return nil
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > int64(a.limits.Queued) {
		return a.refuse("queue_full", nil, tooMany, a.limits.Requests)
	}
	a.metrics.queued.Inc()
	defer a.metrics.queued.Dec()
	patient, cancel := context.WithTimeoutCause(ctx, a.limits.QueueTimeout, errQueueTimeout)
	defer cancel()
	if a.slots.Acquire(patient, 1) == nil {
		return nil
	}
	if !errors.Is(context.Cause(patient), errQueueTimeout) {
		return context.Cause(ctx)
	}
	return a.refuse("queue_timeout", errQueueTimeout, tooMany, a.limits.Requests)
}

func (a *admission) leave() { a.slots.Release(1) }

// hold reserves memory for what is read of a body before the request has a slot,
// and returns what gives it back. Nobody waits for it: who has it may be slow.
// Such bodies have as much as all slots and places in the queue could take, so that
// only clients that do not send what they announce can use it up.
func (a *admission) hold(x *exchange) (release func(), err error) {
	size := x.r.ContentLength
	switch {
	case x.upload.empty():
		return func() {}, nil
	case size > replayLimit && size <= multiDeleteLimit && x.readsDeletes():
		if !a.memory.TryAcquire(size) {
			return nil, a.refuse("memory", nil, "Other lists of keys to delete take the %d MiB that there are for them. Send this one again a little later, or in lists of up to %d KiB.",
				multiDeleteMemory>>20, replayLimit>>10)
		}
		return func() { a.memory.Release(size) }, nil
	case size < 0 && !x.measures(), size > replayLimit && x.target.op.action != postObject:
		return func() {}, nil // it is not read before
	case size < 0 || size > replayLimit: // of a form, the fields are read
		size = replayLimit
	}
	size = max(size, bytes.MinRead)
	if !a.bodies.TryAcquire(size) {
		return nil, a.refuse("memory", nil, "Other request bodies take the memory that there is for them, maybe those of clients that do not send what they have announced. "+
			"Send this one again a little later, or raise COSPROXY_MAX_REQUESTS and COSPROXY_MAX_QUEUED.")
	}
	return func() { a.bodies.Release(size) }, nil
}

var errQueueTimeout = errors.New("no request ended in time")

const tooMany = "cosproxy serves %d requests at a time, and this one found no place among those that wait. " +
	"Send it again a little later, or raise COSPROXY_MAX_REQUESTS and COSPROXY_MAX_QUEUED."

func (a *admission) refuse(reason string, cause error, message string, args ...any) error {
	a.metrics.refused.WithLabelValues(reason).Inc()
	err := errorf(http.StatusServiceUnavailable, "SlowDown", message, args...)
	err.RetryAfter, err.Err = time.Second, cause
	return err
}
