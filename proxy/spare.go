package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cosproxy/proxy/http1"
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

// newSpareHost returns the spare host of rt. It is nil if rt has an endpoint other than
// that of DefaultEndpoint: another one was chosen on purpose, and may have no equivalent
// in the spare domain.
func newSpareHost(rt *route, all *upstreams, log *slog.Logger) (*spareHost, error) {
	main := rt.Bucket + ".cos." + rt.Region + mainDomain
	if rt.endpoint.Hostname() != main {
		return nil, nil
	}
	spare := &url.URL{Scheme: rt.endpoint.Scheme, Host: strings.Replace(rt.endpoint.Host, mainDomain, spareDomain, 1)}
	to, err := all.get(spare)
	if err != nil {
		return nil, err
	}
	return &spareHost{upstream: to, log: log.With("cosproxy.route", rt.Name, "server.address", string(to.host))}, nil
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

// startAtSpare moves a new request to the spare host if that is the current one.
func (o *outgoing) startAtSpare() {
	if o.spare == nil {
		return
	}
	o.started = time.Now()
	if o.spare.isCurrent(o.started, o.canRetry()) {
		o.setUpstream(o.spare.upstream)
	}
}

// isHostFailure reports whether another host may succeed: the connection failed, or the
// response is not one of COS. COS identifies each of its responses.
func (o *outgoing) isHostFailure(resp *response, err error) bool {
	if o.spare == nil {
		return false
	}
	if err != nil {
		return o.mayRecover(err)
	}
	switch resp.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		if resp.Status < http.StatusInternalServerError {
			return false
		}
	}
	return resp.Get("x-cos-request-id") == nil
}

// switchHost moves the next attempt to the other host.
func (o *outgoing) switchHost() {
	to := o.spare.upstream
	if o.upstream == to {
		to = o.route.upstream
	}
	o.switched = to == o.spare.upstream
	o.setUpstream(to)
}

// recordHost records that the current host responded.
func (o *outgoing) recordHost(resp *response) {
	switch {
	case o.spare == nil || resp.Get("x-cos-request-id") == nil:
	case o.upstream != o.spare.upstream:
		o.spare.forget(o.started)
	case o.switched:
		o.switched = false
		o.spare.remember(time.Now())
	}
}

// setUpstream sets the host of the next attempt.
func (o *outgoing) setUpstream(to *upstream) {
	o.upstream = to
	o.head.fields[0].Value = to.host
}

// isDialError reports whether err came before a connection was established, so that the
// server has received nothing.
func isDialError(err error) bool {
	var dial *http1.DialError
	return errors.As(err, &dial)
}
