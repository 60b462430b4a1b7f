package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// healthPage responds to probes on the health listener, which any machine may reach: with
// a status and nothing else. It does not check the Host, because there is nothing to read
// for a page that gets here by DNS rebinding, and kubelet may send any Host.
func (s *pageHost) healthPage(w http.ResponseWriter, r *http.Request) {
	switch {
	case !isProbe(r.URL.Path):
		w.WriteHeader(http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case r.URL.Path == "/readyz" && s.notReady() != "":
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// metricsPages returns the page of the metrics listener. It does not require the client
// token, which would give Prometheus access to the bucket.
func (s *pageHost) metricsPages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	return s.guarded(mux, nil)
}
