package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cosproxy/proxy/guard"

	"github.com/prometheus/client_golang/prometheus/promhttp"
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
	pages := s.guarded(mux, s.token)
	if s.token == nil {
		return pages
	}
	probes := s.guarded(s.probePages(), nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		probed := r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		if probed && r.Header["Authorization"] == nil && r.Header["Proxy-Authorization"] == nil {
			probes.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

func (s *sidecar) guarded(h http.Handler, token guard.Token) http.Handler {
	return guard.New(s.cfg.AllowedHosts, s.cfg.AllowedOrigins, token).Handler(h, s.cfg.settingName)
}

// probePages are for clients without a token where one is required: kubelet cannot
// send one. They say whether the process is ready, and not why.
func (s *sidecar) probePages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.notReady() != "" {
			http.Error(w, "not ready; bring the token to learn why", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// notReady says why not every route can be served now; empty means that all can.
func (s *sidecar) notReady() string {
	if s.draining.Load() {
		return "draining: the process is about to end"
	}
	var reasons []string
	for _, k := range s.keys.held {
		key, routes := k.stats(), "route "+strings.Join(k.routes, ", ")
		switch {
		case key.Ready:
		case key.LastError != "":
			reasons = append(reasons, routes+": no valid credentials: "+key.LastError)
		default:
			reasons = append(reasons, routes+": no valid credentials yet: the first ones are being fetched")
		}
	}
	return strings.Join(reasons, "\n")
}

// status is the page for people.
func (s *sidecar) status(now time.Time) string {
	var p page
	p.row("cosproxy", "%s", version())
	ready := s.notReady()
	if ready == "" {
		ready = "ready"
	}
	p.row("state", "%s", strings.ReplaceAll(ready, "\n", "; "))
	p.row("up", "%v, %d requests in flight", now.Sub(s.started).Round(time.Second), s.proxy.InFlight())
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
		p.row("source", "%s", r.Source)
		p.key(s.keys.of(r), now)
	}
	return p.String()
}

// page is text in two columns.
type page struct{ strings.Builder }

func (p *page) row(name, format string, args ...any) {
	fmt.Fprintf(p, "%-16s"+format+"\n", append([]any{name}, args...)...)
}

func (p *page) key(k *heldKey, now time.Time) {
	key := k.stats()
	switch {
	case key.SecretID == "":
		p.row("credentials", "none")
	case key.Expires.IsZero():
		p.row("credentials", "%s, without expiry", key.SecretID)
	default:
		p.row("credentials", "%s, expires %s, in %v", key.SecretID,
			key.Expires.UTC().Format(time.RFC3339), key.Expires.Sub(now).Round(time.Second))
	}
	if len(k.routes) > 1 {
		p.row("shared by", "%s", strings.Join(k.routes, ", "))
	}
	p.row("fetches", "%d, %d of them failed", key.Fetches, key.Failures)
	if key.LastError != "" {
		p.row("last error", "%s", key.LastError)
	}
}
