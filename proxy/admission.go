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
	waiting atomic.Int64
	metrics *metrics
}

func newAdmission(l Limits, m *metrics) *admission {
	return &admission{limits: l, slots: semaphore.NewWeighted(int64(l.Requests)), metrics: m}
}

// enter waits for a slot, which leave gives back. Its error is 503 SlowDown, as
// COS says it (COS document "Error codes"), or that ctx ended.
func (a *admission) enter(ctx context.Context) error {
	if a.slots.TryAcquire(1) {
		return nil
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > int64(a.limits.Queued) {
		return a.refuse("queue_full", nil)
	}
	a.metrics.queued.Inc()
	defer a.metrics.queued.Dec()
	patient, cancel := context.WithTimeoutCause(ctx, a.limits.QueueTimeout, errQueueTimeout)
	defer cancel()
	if a.slots.Acquire(patient, 1) == nil {
		return nil
	}
	if context.Cause(patient) != errQueueTimeout { //nolint:errorlint // it is the cause itself
		return context.Cause(ctx)
	}
	return a.refuse("queue_timeout", errQueueTimeout)
}

func (a *admission) leave() { a.slots.Release(1) }

var errQueueTimeout = errors.New("no request ended in time")

func (a *admission) refuse(reason string, cause error) error {
	a.metrics.refused.WithLabelValues(reason).Inc()
	err := errorf(http.StatusServiceUnavailable, "SlowDown",
		"cosproxy serves %d requests at a time, and this one found no place among those that wait. Send it again a little later, or raise COSPROXY_MAX_REQUESTS and COSPROXY_MAX_QUEUED.",
		a.limits.Requests)
	err.RetryAfter, err.Err = time.Second, cause
	return err
}
