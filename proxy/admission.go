package proxy

import (
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
	memory  *semaphore.Weighted // for lists of keys to delete, in bytes
	waiting atomic.Int64
	metrics *metrics
}

func newAdmission(l Limits, m *metrics) *admission {
	return &admission{limits: l, slots: semaphore.NewWeighted(int64(l.Requests)), memory: semaphore.NewWeighted(multiDeleteMemory), metrics: m}
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

// hold reserves memory for a body that is read whole, and returns what gives it
// back. Nobody waits for it: who has it may be slow.
func (a *admission) hold(size int64) (release func(), err error) {
	if size <= replayLimit || size > multiDeleteLimit { // then it is not read
		return func() {}, nil
	}
	if !a.memory.TryAcquire(size) {
		return nil, a.refuse("memory", nil, "Other lists of keys to delete take the %d MiB that there are for them. Send this one again a little later, or in lists of up to %d KiB.",
			multiDeleteMemory>>20, replayLimit>>10)
	}
	return func() { a.memory.Release(size) }, nil
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
