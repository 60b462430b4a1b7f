package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cosproxy/proxy"
)

const indexPage = `<!doctype html>
<title>cosproxy</title>
<h1>cosproxy</h1>
<ul>
<li><a href="/status">/status</a> what it serves and with which key</li>
<li><a href="/readyz">/readyz</a> whether it can serve now</li>
<li><a href="/livez">/livez</a> whether it runs</li>
<li><a href="/metrics">/metrics</a> for Prometheus</li>
</ul>
`

// adminPages are for operators and probes. None shows a secret.
func (s *sidecar) adminPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, indexPage)
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reason := s.notReady(); reason != "" {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, s.status(time.Now()))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	return proxy.AllowHosts(mux, s.cfg.AllowedHosts...)
}

// notReady says why no request can be served now; empty means that it can.
func (s *sidecar) notReady() string {
	key := s.cache.Stats()[0]
	switch {
	case s.draining.Load():
		return "draining: the process is about to end"
	case key.Ready:
		return ""
	case key.LastError != "":
		return "no valid key: " + key.LastError
	}
	return "no valid key yet: the first one is being fetched"
}

// status is the page for people.
func (s *sidecar) status(now time.Time) string {
	key := s.cache.Stats()[0]
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s"+format+"\n", append([]any{name}, args...)...)
	}
	ready := s.notReady()
	if ready == "" {
		ready = "ready"
	}
	row("cosproxy", "%s", version())
	row("state", "%s", ready)
	row("up", "%v, %d requests in flight", now.Sub(s.started).Round(time.Second), s.inFlight.Load())
	row("bucket", "%s in %s", s.cfg.Bucket, s.cfg.Region)
	row("endpoint", "%s", s.endpoint)
	if s.cfg.ConnectTo != "" {
		row("connect to", "%s", s.cfg.ConnectTo)
	}
	row("prefixes", "%v", s.cfg.Prefixes)
	row("actions", "%v", s.cfg.Actions)
	row("source", "%s", s.cfg.Source)
	switch {
	case key.SecretID == "":
		row("key", "none")
	case key.Expires.IsZero():
		row("key", "%s, without expiry", key.SecretID)
	default:
		row("key", "%s, expires %s, in %v", key.SecretID,
			key.Expires.UTC().Format(time.RFC3339), key.Expires.Sub(now).Round(time.Second))
	}
	row("fetches", "%d, %d of them failed", key.Fetches, key.Failures)
	if key.LastError != "" {
		row("last error", "%s", key.LastError)
	}
	return b.String()
}
