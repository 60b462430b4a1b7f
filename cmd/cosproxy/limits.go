package main

import (
	"cmp"
	"log/slog"

	"cosproxy/proxy"
)

// limits are those of requests.
func (c *config) limits() proxy.Limits {
	return proxy.Limits{
		Requests:     c.MaxRequests,
		Queued:       cmp.Or(c.MaxQueued, -1),
		QueueTimeout: c.QueueTimeout,
		RequestLine:  int(c.MaxRequestLine),
		Headers:      c.MaxHeaders,
		Body:         int64(c.MaxBody),
		StallTimeout: c.StallTimeout,
	}
}

// serverOptions are the limits of connections.
func (c *config) serverOptions(log *slog.Logger) proxy.ServerOptions {
	return proxy.ServerOptions{
		Logger:        log,
		HeaderTimeout: c.HeaderTimeout,
		IdleTimeout:   c.IdleTimeout,
		HeaderBytes:   int(c.MaxHeaderBytes),
	}
}

func (c *config) checkLimits(m *mistakes) {
	if c.MaxQueued < 0 {
		m.add(variable("MaxQueued"), "is negative: write for example 200, or 0 to let none wait")
	}
	for _, limit := range []struct {
		field string
		bytes size
	}{
		{"MaxRequestLine", c.MaxRequestLine},
		{"MaxHeaderBytes", c.MaxHeaderBytes},
	} {
		if limit.bytes > 1<<20 {
			m.add(variable(limit.field), "is more than 1MiB, which every connection could take: write for example 64KiB")
		}
	}
	for _, limit := range []struct {
		field    string
		positive bool
	}{
		{"MaxRequests", c.MaxRequests > 0},
		{"QueueTimeout", c.QueueTimeout > 0},
		{"MaxHeaders", c.MaxHeaders > 0},
		{"HeaderTimeout", c.HeaderTimeout > 0},
		{"IdleTimeout", c.IdleTimeout > 0},
		{"StallTimeout", c.StallTimeout > 0},
	} {
		if !limit.positive {
			s := settingOf(limit.field)
			m.add(s.variable, "has to be more than zero: write for example %s", s.example)
		}
	}
}
