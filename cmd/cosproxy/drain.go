package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

var errDrained = errors.New("shutdown: drain timeout exceeded")

// cutGrace is the time that requests have to notice that they are cut off, and
// to be logged.
const cutGrace = time.Second

// drain accepts requests for the time of delay more, since applications that get
// SIGTERM together with the sidecar may have a last upload to send. Then it stops
// accepting and lets the requests in flight end. Those that have not after
// DrainTimeout, which counts from the beginning, are cut off: first through their
// context, so that they are logged, then through their connection.
func (s *sidecar) drain(server *http.Server, delay time.Duration, cut context.CancelCauseFunc) error {
	end := time.Now().Add(s.cfg.DrainTimeout)
	s.draining.Store(true)
	s.log.Info("draining", "in_flight", s.inFlight.Load(), "delay", delay.String(), "timeout", s.cfg.DrainTimeout.String())
	time.Sleep(delay)
	if shutdown(server, time.Until(end)) == nil {
		return nil
	}
	left := s.inFlight.Load()
	cut(errDrained)
	err := shutdown(server, cutGrace)
	if err != nil {
		err = server.Close()
	}
	if left == 0 { // there were only connections that had not asked for anything
		return err
	}
	return errors.Join(err, fmt.Errorf("requests in flight that were cut off: %d; if they need longer than %v, raise %s",
		left, s.cfg.DrainTimeout, variable("DrainTimeout")))
}

// closingWriter has a response end its connection if the drain has begun by the time
// that its header is written.
type closingWriter struct {
	http.ResponseWriter
	draining *atomic.Bool
}

// WriteHeader implements http.ResponseWriter.
func (w *closingWriter) WriteHeader(status int) {
	if w.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *closingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func shutdown(server *http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return server.Shutdown(ctx)
}

// checkShutdown wants a drain that has time left after the delay.
func (c *config) checkShutdown(m *mistakes) {
	if c.DrainTimeout < 0 {
		m.add(variable("DrainTimeout"), "is negative: write for example 25s, or 0s to cut off at once")
	}
	switch {
	case c.ShutdownDelay < 0:
		m.add(variable("ShutdownDelay"), "is negative: write for example 5s, or 0s to stop accepting at once")
	case c.ShutdownDelay > 0 && c.ShutdownDelay >= c.DrainTimeout:
		m.add(variable("ShutdownDelay"), "leaves no time to drain, since it is part of %s (%v): write a shorter one", variable("DrainTimeout"), c.DrainTimeout)
	}
}
