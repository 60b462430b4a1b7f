package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifySystemd sends a state to systemd (sd_notify(3)), for units with Type=notify.
// Without NOTIFY_SOCKET it does nothing.
func (s *pageHost) notifySystemd(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("systemd cannot be notified; check NOTIFY_SOCKET, or use Type=exec in the unit", "error.message", err)
	}
}

// startWatchdog keeps the watchdog of systemd (WatchdogSec= of the unit) quiet until ctx
// ends. Without WATCHDOG_USEC it does nothing.
func (s *pageHost) startWatchdog(ctx context.Context) {
	interval, err := daemon.SdWatchdogEnabled(false)
	switch {
	case err != nil:
		s.log.Warn("the watchdog of systemd cannot be used; correct WatchdogSec= of the unit", "error.message", err)
	case interval > 0:
		// The caller does not wait for the goroutine, since it may hang: see watchdog.
		go watchdog(ctx, interval, func() { s.notReady() }, func() { s.notifySystemd(daemon.SdNotifyWatchdog) })
	}
}

// watchdog calls check and then notify twice per interval, as sd_watchdog_enabled(3)
// recommends. If check blocks, because its locks are not released, notify is not called
// again, and systemd restarts the process. check must not depend on other machines or on
// load, because a restart would not help.
func watchdog(ctx context.Context, interval time.Duration, check, notify func()) {
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			check()
			notify()
		}
	}
}
