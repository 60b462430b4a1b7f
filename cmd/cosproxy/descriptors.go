package main

import "log/slog"

const (
	// otherDescriptors is the number of descriptors for other purposes than connections
	// of clients and to COS: standard streams, poller, listeners, files, name lookups,
	// fetches of credentials.
	otherDescriptors = 24
	// minAdminConns and maxAdminConns are the bounds of the connection limit of the
	// admin listener.
	minAdminConns, maxAdminConns = 16, 256
	// minAppConns is the minimum connection limit for applications, even if the limit
	// of file descriptors is lower.
	minAppConns = 4
	// probeConns is the connection limit of the health listener and of the metrics
	// listener, each.
	probeConns = 64
	// maxIssuerConns is the maximum connection limit of cosproxy issuer, even if the limit
	// of file descriptors is higher.
	maxIssuerConns = 10_000
)

// reservedDescriptors returns the number of descriptors for other purposes than
// connections of applications and to COS.
func (c *config) reservedDescriptors() int64 {
	n := int64(otherDescriptors + minAdminConns)
	for _, a := range []address{c.HealthListen, c.MetricsListen} {
		if a != (address{}) {
			n += probeConns
		}
	}
	return n
}

// wantedConns returns the number of connections of applications that MaxRequests and
// MaxQueued allow.
func (c *config) wantedConns() int64 {
	return c.upstreamConns() + min(int64(c.MaxQueued), maxConns)
}

// neededDescriptors returns the number of descriptors for wantedConns.
func (c *config) neededDescriptors() int64 {
	return c.wantedConns() + c.upstreamConns() + c.reservedDescriptors()
}

// upstreamConns returns the maximum number of connections to COS.
func (c *config) upstreamConns() int64 { return min(int64(c.MaxRequests), maxConns) }

// maxConns prevents integer overflows.
const maxConns = 1 << 40

// connLimits returns the connection limits of the listeners for a limit of file
// descriptors, such that a connection to COS is left for every request.
func (c *config) connLimits(descriptors int64) (app, admin int64) {
	free := descriptors - c.reservedDescriptors()
	app = max(free/2, free-c.upstreamConns(), minAppConns)
	spare := max(app-c.wantedConns(), 0)
	more := min(spare/2, maxAdminConns-minAdminConns)
	return app - more, minAdminConns + more
}

// issuerConns returns the connection limit of the listener of cosproxy issuer, such that a
// connection to the source is left for every request.
func (c *config) issuerConns(descriptors int64) int64 {
	return min(max((descriptors-c.reservedDescriptors())/2, minAppConns), maxIssuerConns)
}

// warnDescriptors warns if the limit of file descriptors is too low for the settings.
func (c *config) warnDescriptors(log *slog.Logger, descriptors int64) {
	needed := c.neededDescriptors()
	if descriptors >= needed {
		return
	}
	app, _ := c.connLimits(descriptors)
	log.Warn("the limit of file descriptors is too low for "+variable("MaxRequests")+" and "+variable("MaxQueued")+
		": idle client connections are closed early, and new ones wait if no connection is idle; "+
		"raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower these settings",
		"cosproxy.descriptor_limit", descriptors, "cosproxy.descriptors_needed", needed, "cosproxy.max_connections", app,
		"cosproxy.max_requests", c.MaxRequests, "cosproxy.max_queued", c.MaxQueued)
}
