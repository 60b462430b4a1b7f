package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// notReady returns the reasons why no caller can authenticate, or "" if some can. An outage of
// STS is none: another issuer would not help.
func (s *issuerServer) notReady() string {
	if s.draining.Load() {
		return "draining: the process is shutting down"
	}
	failed, methods := s.failedMethods()
	if len(failed) < methods {
		return ""
	}
	return strings.Join(failed, "\n")
}

// failedMethods returns why methods of authentication do not work, and how many are configured.
func (s *issuerServer) failedMethods() (failed []string, methods int) {
	if s.tokens != nil {
		methods++
		if _, err := s.tokens(); err != nil {
			failed = append(failed, err.Error())
		}
	}
	if s.keys != nil {
		methods++
		if err := s.keys.Err(); err != nil {
			failed = append(failed, err.Error())
		}
	}
	return failed, methods
}

// maxStatusScopes limits the scopes on the page /status.
const maxStatusScopes = 100

// status returns the text of the page /status.
func (s *issuerServer) status(now time.Time) string {
	var p page
	p.row("cosproxy issuer", "%s", version())
	ready := s.notReady()
	if ready == "" {
		ready = "ready"
	}
	p.row("state", "%s", strings.ReplaceAll(ready, "\n", "; "))
	if failed, _ := s.failedMethods(); ready == "ready" && len(failed) > 0 {
		p.row("failed", "%s", strings.Join(failed, "; "))
	}
	p.row("uptime", "%v", now.Sub(s.started).Round(time.Second))
	for _, r := range s.cfg.routes {
		p.WriteString("\n")
		p.row("route", "%s", r.name)
		p.row("bucket", "%s in %s", r.Bucket, r.Region)
		p.row("allow prefixes", "%v", r.AllowPrefixes)
		p.row("allow actions", "%v", r.AllowActions)
		p.row("source", "%s", s.cfg.Source.describeSource(r.Source))
		p.row("callers", "%v", r.Callers)
	}
	shown := 0
	for _, cache := range s.credentials.caches {
		for _, stats := range cache.Stats() {
			if shown++; stats.Fetches == 0 || shown > maxStatusScopes {
				continue
			}
			p.WriteString("\n")
			p.row("scope", "%s in %s", stats.Scope.Bucket, stats.Scope.Region)
			p.row("prefixes", "%s", strings.Join(stats.Scope.AllowPrefixes, ","))
			p.row("actions", "%s", strings.Join(stats.Scope.AllowActions, ","))
			if stats.SecretID != "" {
				p.row("credentials", "%s, expires %s, in %v", stats.SecretID, stats.Expires.UTC().Format(time.RFC3339), stats.Expires.Sub(now).Round(time.Second))
			}
			if stats.LastError != "" {
				p.row("last error", "%s", stats.LastError)
			}
		}
	}
	return p.String()
}

// newIssuerRegistry returns a registry with the metrics of the process and of the source.
func newIssuerRegistry(store *credentialStore) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newFetchCollector(store),
	)
	return registry
}

// newIssuerObserver registers the counter of requests and returns a function that counts one.
func newIssuerObserver(registry prometheus.Registerer) func(route string, status int) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cosproxy_issuer_requests_total",
		Help: "Requests to the issuer by route and status; the route is empty if none matched.",
	}, []string{"route", "code"})
	registry.MustRegister(requests)
	return func(route string, status int) { requests.WithLabelValues(route, strconv.Itoa(status)).Inc() }
}

// fetchCollector exports the calls of the sources of an issuer to Prometheus.
type fetchCollector struct {
	store                     *credentialStore
	fetches, failures, scopes *prometheus.Desc
}

func newFetchCollector(store *credentialStore) *fetchCollector {
	return &fetchCollector{
		store:    store,
		fetches:  prometheus.NewDesc("cosproxy_issuer_fetches_total", "Attempts to fetch credentials from the source.", []string{"source"}, nil),
		failures: prometheus.NewDesc("cosproxy_issuer_fetch_failures_total", "Attempts that returned no new credentials.", []string{"source"}, nil),
		scopes:   prometheus.NewDesc("cosproxy_issuer_scopes", "Scopes with valid credentials, which are renewed.", []string{"source"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *fetchCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.fetches, c.failures, c.scopes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Caches of one source, with different durations, are
// one series.
func (c *fetchCollector) Collect(ch chan<- prometheus.Metric) {
	type sum struct{ fetches, failures, scopes float64 }
	sums := make(map[string]sum)
	for id, cache := range c.store.caches {
		s := sums[id.source]
		fetches, failures := cache.Totals()
		s.fetches += float64(fetches)
		s.failures += float64(failures)
		for _, stats := range cache.Stats() {
			if stats.Ready {
				s.scopes++
			}
		}
		sums[id.source] = s
	}
	for source, s := range sums {
		ch <- prometheus.MustNewConstMetric(c.fetches, prometheus.CounterValue, s.fetches, source)
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, s.failures, source)
		ch <- prometheus.MustNewConstMetric(c.scopes, prometheus.GaugeValue, s.scopes, source)
	}
}
