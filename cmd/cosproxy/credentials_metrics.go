package main

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// credentialCollector shows the state of the keys to Prometheus. A key that
// several routes share is one series, labelled with all of them.
type credentialCollector struct {
	keys *keyring

	ready, expiry, fetches, failures *prometheus.Desc
}

func newCredentialCollector(keys *keyring) *credentialCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"route", "bucket"}, nil)
	}
	return &credentialCollector{
		keys:     keys,
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
	for _, k := range c.keys.held {
		key := k.stats()
		routes := strings.Join(k.routes, ",")
		show := func(desc *prometheus.Desc, t prometheus.ValueType, value float64) {
			ch <- prometheus.MustNewConstMetric(desc, t, value, routes, key.Scope.Bucket)
		}
		ready := 0.0
		if key.Ready {
			ready = 1
		}
		show(c.ready, prometheus.GaugeValue, ready)
		if !key.Expires.IsZero() {
			show(c.expiry, prometheus.GaugeValue, float64(key.Expires.Unix()))
		}
		show(c.fetches, prometheus.CounterValue, float64(key.Fetches))
		show(c.failures, prometheus.CounterValue, float64(key.Failures))
	}
}
