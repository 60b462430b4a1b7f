package main

import "log/slog"

const (
	// otherDescriptors is for all but connections of clients and to COS: standard
	// streams, poller, listeners, files, name lookups, requests for credentials.
	otherDescriptors = 24
	// minAdminConns is how many connections the admin listener keeps at least, and
	// maxAdminConns how many at most.
	minAdminConns, maxAdminConns = 16, 256
	// minAppConns is how many connections of applications are kept, however low the
	// limit of descriptors is.
	minAppConns = 4
)

// wantedConns is how many connections of applications MaxRequests and MaxQueued
// allow for, and neededDescriptors how many descriptors these take.
func (c *config) wantedConns() int64 {
	return c.upstreamConns() + min(int64(c.MaxQueued), maxConns)
}

func (c *config) neededDescriptors() int64 {
	return c.wantedConns() + c.upstreamConns() + minAdminConns + otherDescriptors
}

// upstreamConns is how many connections to COS the requests can take.
func (c *config) upstreamConns() int64 { return min(int64(c.MaxRequests), maxConns) }

// maxConns keeps sums from overflowing.
const maxConns = 1 << 40

// connLimits is how many connections each listener may have open with that many
// descriptors, so that every request also gets a connection to COS.
func (c *config) connLimits(descriptors int64) (app, admin int64) {
	free := descriptors - otherDescriptors - minAdminConns
	app = max(free/2, free-c.upstreamConns(), minAppConns)
	spare := max(app-c.wantedConns(), 0)
	more := min(spare/2, maxAdminConns-minAdminConns)
	return app - more, minAdminConns + more
}

// warnDescriptors warns of a limit that is lower than the settings need.
func (c *config) warnDescriptors(log *slog.Logger, descriptors int64) {
	needed := c.neededDescriptors()
	if descriptors >= needed {
		return
	}
	app, _ := c.connLimits(descriptors)
	log.Warn("the limit of file descriptors is too low for "+variable("MaxRequests")+" and "+variable("MaxQueued")+
		": idle connections of clients are closed early, and new ones wait while none is idle; "+
		"raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower these settings",
		"cosproxy.descriptor_limit", descriptors, "cosproxy.descriptors_needed", needed, "cosproxy.max_connections", app,
		"cosproxy.max_requests", c.MaxRequests, "cosproxy.max_queued", c.MaxQueued)
}
