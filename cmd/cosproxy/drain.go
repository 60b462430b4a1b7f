package main

import (
	"context"
	"fmt"
	"time"

	"cosproxy/proxy/http1"
)

// drain accepts requests for the time of delay more, since applications that get
// SIGTERM together with the sidecar may have a last upload to send. Then it stops
// accepting and lets the requests in flight end. Those that have not after
// DrainTimeout, which counts from the beginning, are canceled, and then their
// connections are reset.
func (s *sidecar) drain(server *http1.Server, delay time.Duration) error {
	end := time.Now().Add(s.cfg.DrainTimeout)
	s.draining.Store(true)
	server.LastRequests()
	s.log.Info("draining", "cosproxy.requests_in_flight", s.proxy.InFlight(),
		"cosproxy.shutdown_delay", delay.String(), "cosproxy.drain_timeout", s.cfg.DrainTimeout.String())
	time.Sleep(delay)
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	if server.Shutdown(ctx) == nil {
		return nil
	}
	left := s.proxy.InFlight()
	server.Close()
	if left == 0 { // there were only connections that had not asked for anything
		return nil
	}
	return fmt.Errorf("requests in flight that were cut off: %d; if they need longer than %v, raise %s",
		left, s.cfg.DrainTimeout, variable("DrainTimeout"))
}
