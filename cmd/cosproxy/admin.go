package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cosproxy/credcache"
	"cosproxy/proxy/guard"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const indexPage = `<!doctype html>
<title>cosproxy</title>
<h1>cosproxy</h1>
<ul>
<li><a href="/status">/status</a> routes and credentials</li>
<li><a href="/readyz">/readyz</a> 200 if all routes can be served, else 503</li>
<li><a href="/livez">/livez</a> 200 while the process runs</li>
<li><a href="/startupz">/startupz</a> 200 once the process accepts connections</li>
<li><a href="/metrics">/metrics</a> metrics for Prometheus</li>
</ul>
`

// adminPages returns the pages for operators and probes. No page contains a secret.
func (s *pageHost) adminPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, indexPage)
	})
	mux.HandleFunc("GET /livez", respondOK)
	mux.HandleFunc("GET /startupz", respondOK)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if reason := s.notReady(); reason != "" {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		respondOK(w, r)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, s.status(time.Now()))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	pages, probes := s.guarded(mux, s.token), s.guarded(s.probePages(), nil)
	quit := s.guarded(http.HandlerFunc(s.quitPage), nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hasToken := r.Header["Authorization"] != nil || r.Header["Proxy-Authorization"] != nil
		switch {
		case r.URL.Path == quitPath && s.cfg.QuitTokenFile != "":
			quit.ServeHTTP(w, r) // it has a token of its own
		case s.token != nil && isProbe(r.URL.Path) && !hasToken:
			probes.ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

func isProbe(path string) bool { return path == "/livez" || path == "/readyz" || path == "/startupz" }

func respondOK(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (s *pageHost) guarded(h http.Handler, token guard.Token) http.Handler {
	return guard.New(s.cfg.AllowedHosts, s.cfg.AllowedOrigins, token).Handler(h, s.cfg.settingName)
}

// probePages returns the probes for clients without a token if one is required, since
// kubelet cannot send one. They do not say why the process is not ready.
func (s *pageHost) probePages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", respondOK)
	mux.HandleFunc("GET /startupz", respondOK)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.notReady() != "" {
			http.Error(w, "not ready; send the client token to see the reason", http.StatusServiceUnavailable)
			return
		}
		respondOK(w, r)
	})
	return mux
}

// notReady returns the reasons why routes cannot be served, or "" if all can.
func (s *sidecar) notReady() string {
	if s.draining.Load() {
		return "draining: the process is shutting down"
	}
	var reasons []string
	for _, c := range s.credentials.shared {
		stats, routes := c.stats(), "route "+strings.Join(c.routes, ", ")
		switch {
		case stats.Ready:
		case stats.LastError != "":
			reasons = append(reasons, routes+": no valid credentials: "+stats.LastError)
		default:
			reasons = append(reasons, routes+": no valid credentials yet: the first fetch has not finished")
		}
	}
	return strings.Join(reasons, "\n")
}

// status returns the text of the page /status.
func (s *sidecar) status(now time.Time) string {
	var p page
	p.row("cosproxy", "%s", version())
	ready := s.notReady()
	if ready == "" {
		ready = "ready"
	}
	p.row("state", "%s", strings.ReplaceAll(ready, "\n", "; "))
	p.row("uptime", "%v, %d requests in flight", now.Sub(s.started).Round(time.Second), s.proxy.InFlight())
	if s.cfg.ConnectTo != "" {
		p.row("connect to", "%s", s.cfg.ConnectTo)
	}
	for _, r := range s.cfg.routes {
		p.WriteString("\n")
		p.row("route", "%s", r.name)
		p.row("bucket", "%s in %s", r.Bucket, r.Region)
		p.row("endpoint", "%s", r.endpoint)
		if r.ObjectPrefix != "" {
			p.row("object prefix", "%s", r.ObjectPrefix)
		}
		p.row("allow prefixes", "%v", r.AllowPrefixes)
		p.row("allow actions", "%v", r.AllowActions)
		p.row("source", "%s", s.cfg.Source.describeSource(r.Source))
		if first, ok := s.credentials.firstStats(r.Source); ok {
			p.row("first role", "%s", describeCredentials(first, now))
		}
		p.credentials(s.credentials.of(r), now)
	}
	return p.String()
}

// page is text in two columns.
type page struct{ strings.Builder }

func (p *page) row(name, format string, args ...any) {
	fmt.Fprintf(p, "%-16s"+format+"\n", append([]any{name}, args...)...)
}

func (p *page) credentials(c *sharedCredentials, now time.Time) {
	stats := c.stats()
	p.row("credentials", "%s", describeCredentials(stats, now))
	if len(c.routes) > 1 {
		p.row("shared by", "%s", strings.Join(c.routes, ", "))
	}
	p.row("fetches", "%d, %d failed", stats.Fetches, stats.Failures)
	if stats.LastError != "" {
		p.row("last error", "%s", stats.LastError)
	}
}

// describeCredentials returns the SecretId and the expiry of credentials.
func describeCredentials(stats credcache.ScopeStats, now time.Time) string {
	switch {
	case stats.SecretID == "":
		return "none"
	case stats.Expires.IsZero():
		return stats.SecretID + ", without expiry"
	}
	return fmt.Sprintf("%s, expires %s, in %v", stats.SecretID,
		stats.Expires.UTC().Format(time.RFC3339), stats.Expires.Sub(now).Round(time.Second))
}
