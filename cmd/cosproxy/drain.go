package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"cosproxy/proxy/http1"
)

// delayAfter returns the shutdown delay, given the context that ends on a signal or POST
// /quit. If that has not ended, a listener failed, and no requests will arrive.
func (c *config) delayAfter(serveCtx context.Context) time.Duration {
	if serveCtx.Err() == nil {
		return 0
	}
	return c.ShutdownDelay
}

func closePages(pages []pageServer) (err error) {
	for _, p := range pages {
		err = errors.Join(err, p.Close())
	}
	return err
}

// drain keeps accepting requests during delay, since applications that get SIGTERM at the
// same time may have one more upload to send. Then it stops accepting and waits for the
// requests in flight. It cancels those that have not ended when DrainTimeout, counted
// from the call, is over, and then resets their connections.
func (s *sidecar) drain(server *http1.Server, delay time.Duration) error {
	end := time.Now().Add(s.cfg.DrainTimeout)
	s.draining.Store(true)
	s.notifySystemd(daemon.SdNotifyStopping)
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
	if left == 0 { // only connections without a request were open
		return nil
	}
	return fmt.Errorf("shutdown: drain timeout exceeded (requests canceled: %d); if they need more than %v, raise %s",
		left, s.cfg.DrainTimeout, variable("DrainTimeout"))
}
