package proxy

import (
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The main and the spare domain of COS (COS document "Regions and access domain names").
const (
	mainDomain  = ".myqcloud.com"
	spareDomain = ".tencentcos.cn"
)

const (
	// spareTime is how long requests start at the spare host after the main host failed
	// and the spare host responded.
	spareTime = 5 * time.Minute
	// spareProbe is the time between requests that try the main host after spareTime.
	spareProbe = 30 * time.Second
)

// spareHost is the host of a bucket in the spare domain, to which requests move while the
// main host fails. The official SDKs move single requests; a sidecar can remember the
// failure for all of them.
type spareHost struct {
	upstream *upstream
	log      *slog.Logger
	inUse    atomic.Bool // until is not zero; saves the lock while the main host works

	mu    sync.Mutex
	since time.Time // when the main host failed last
	until time.Time // requests start at the spare host before; zero: at the main host
}

// spareEndpoint returns the endpoint of a bucket in the spare domain. It is nil if the
// endpoint is another one than DefaultEndpoint: that was chosen on purpose, and may have
// no equivalent in the spare domain.
func spareEndpoint(endpoint *url.URL, bucket, region string) *url.URL {
	if endpoint.Hostname() != bucket+".cos."+region+mainDomain {
		return nil
	}
	return &url.URL{Scheme: endpoint.Scheme, Host: strings.Replace(endpoint.Host, mainDomain, spareDomain, 1)}
}

// newSpareHost returns the spare host at to of a route.
func newSpareHost(to *upstream, route string, log *slog.Logger) *spareHost {
	return &spareHost{upstream: to, log: log.With("cosproxy.route", route, "server.address", string(to.host))}
}

// isCurrent reports whether a request starts at the spare host. After spareTime, one
// request per spareProbe starts at the main host. A request that may not be repeated
// waits another spareTime for one that may.
func (s *spareHost) isCurrent(now time.Time, mayRepeat bool) bool {
	if !s.inUse.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	isDue := !now.Before(s.until) && mayRepeat || !now.Before(s.until.Add(spareTime))
	if s.until.IsZero() || !isDue {
		return !s.until.IsZero()
	}
	s.until = now.Add(spareProbe)
	return false
}

// remember makes requests start at the spare host.
func (s *spareHost) remember(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.IsZero() {
		s.log.Warn("the host of the bucket in myqcloud.com failed; requests go to the spare domain")
	}
	s.since, s.until = now, now.Add(spareTime)
	s.inUse.Store(true)
}

// forget makes requests start at the main host, which responded to a request that came at
// started. A request from before the last failure of the main host shows nothing.
func (s *spareHost) forget(started time.Time) {
	if !s.inUse.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.IsZero() || started.Before(s.since) {
		return
	}
	s.log.Info("requests go to the host of the bucket in myqcloud.com again")
	s.until = time.Time{}
	s.inUse.Store(false)
}
