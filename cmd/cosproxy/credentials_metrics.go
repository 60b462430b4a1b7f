package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/credcache"
)

// credentialCollector shows the state of the credential cache to Prometheus.
type credentialCollector struct {
	cache *credcache.Cache

	ready, expiry, fetches, failures *prometheus.Desc
}

func newCredentialCollector(cache *credcache.Cache) *credentialCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"bucket"}, nil)
	}
	return &credentialCollector{
		cache:    cache,
		ready:    desc("cosproxy_key_ready", "1 if there is a valid key, else 0."),
		expiry:   desc("cosproxy_key_expiry_timestamp_seconds", "Unix time at which the key expires; absent without a key or an expiry."),
		fetches:  desc("cosproxy_key_fetches_total", "Attempts to get a key from the source."),
		failures: desc("cosproxy_key_fetch_failures_total", "Attempts that brought no new key."),
	}
}

// Describe implements prometheus.Collector.
func (c *credentialCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ready, c.expiry, c.fetches, c.failures} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *credentialCollector) Collect(ch chan<- prometheus.Metric) {
	for _, key := range c.cache.Stats() {
		bucket := key.Scope.Bucket
		ready := 0.0
		if key.Ready {
			ready = 1
		}
		ch <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue, ready, bucket)
		if !key.Expires.IsZero() {
			ch <- prometheus.MustNewConstMetric(c.expiry, prometheus.GaugeValue, float64(key.Expires.Unix()), bucket)
		}
		ch <- prometheus.MustNewConstMetric(c.fetches, prometheus.CounterValue, float64(key.Fetches), bucket)
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(key.Failures), bucket)
	}
}
