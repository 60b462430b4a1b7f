//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	maxIdle     = 300 * time.Millisecond // before the memory is measured
	reconnects  = 40                     // connections that the upstream closes
	startPause  = 200 * time.Microsecond
	warmRequest = objectPath + "1024"
)

// measureStart measures the time from the start of the process to its first response,
// the memory when it is idle after a few requests, and over TLS the share of
// reconnections that resume a session.
func measureStart(ctx context.Context, b *testbed, set *settings, p peer, t transport) (sample, error) {
	proc, err := p.launch(ctx, b, t)
	if err != nil {
		return sample{}, err
	}
	defer proc.stop()
	var s sample
	if s.coldStart, err = firstResponse(ctx, proc); err != nil {
		return sample{}, err
	}
	for range 10 {
		if _, err := getOnce(ctx, proc.addr, warmRequest); err != nil {
			return sample{}, err
		}
	}
	time.Sleep(min(maxIdle, set.duration))
	s.idle = memory(proc.pids(), "VmRSS")
	if t == overTLS {
		s.resumed, err = measureResumption(ctx, b, proc)
	}
	return s, err
}

// firstResponse sends requests until the process responds.
func firstResponse(ctx context.Context, p *process) (time.Duration, error) {
	for {
		_, err := getOnce(ctx, p.addr, warmRequest)
		elapsed := time.Since(p.started)
		if err == nil {
			return elapsed, nil
		}
		select {
		case <-p.exited:
			return 0, fmt.Errorf("exited at the start: %s", p.lastLog())
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(startPause):
		}
		if elapsed > startTimeout {
			return 0, fmt.Errorf("no response: %w: %s", err, p.lastLog())
		}
	}
}

// measureResumption makes the upstream close each connection after one response. It
// returns the share of handshakes that resumed a session.
func measureResumption(ctx context.Context, b *testbed, p *process) (float64, error) {
	handshakes, resumed, err := handshakeStats(ctx, b)
	if err != nil {
		return 0, err
	}
	for range reconnects {
		if _, err := getOnce(ctx, p.addr, closePath); err != nil {
			return 0, err
		}
	}
	handshakesAfter, resumedAfter, err := handshakeStats(ctx, b)
	if err != nil {
		return 0, err
	}
	if handshakesAfter == handshakes {
		return 0, errors.New("no reconnection")
	}
	return float64(resumedAfter-resumed) / float64(handshakesAfter-handshakes), nil
}

func handshakeStats(ctx context.Context, b *testbed) (handshakes, resumed int64, err error) {
	body, err := getOnce(ctx, b.upstream[plain], statsPath)
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(string(body), &handshakes, &resumed)
	return handshakes, resumed, err
}
