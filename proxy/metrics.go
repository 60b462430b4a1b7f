package proxy

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/proxy/internal/cosreq"
)

// metrics are the metrics of requests. Labels have few values: actions come from the
// tables of package cosreq, codes from HTTP.
type metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	received  prometheus.Counter
	sent      prometheus.Counter
	inFlight  prometheus.GaugeFunc
	aborted   prometheus.Counter
	rejected  *prometheus.CounterVec
	retries   *prometheus.CounterVec
	expects   *prometheus.CounterVec
	queued    prometheus.Gauge
	slowDowns *prometheus.CounterVec
	removed   prometheus.Counter
	last      atomic.Pointer[series] // of the previous request
}

func newMetrics(reg prometheus.Registerer, inFlight func() int64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cosproxy_requests_total",
			Help: "Requests by route, COS action and HTTP status. 499 means that the client closed the connection.",
		}, []string{"route", "action", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cosproxy_request_duration_seconds",
			Help:    "Time from the request header to the end of the response.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"action"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cosproxy_request_body_bytes_total",
			Help: "Request body bytes read from clients.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cosproxy_response_body_bytes_total",
			Help: "Response body bytes of COS written to clients.",
		}),
		inFlight: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "cosproxy_requests_in_flight",
			Help: "Requests being served.",
		}, func() float64 { return float64(inFlight()) }),
		aborted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cosproxy_responses_aborted_total",
			Help: "Responses that failed after their header was sent; the proxy broke the client's connection.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cosproxy_credentials_rejections_total",
			Help: "Responses in which COS rejected the credentials or the clock, by error code of COS.",
		}, []string{"error_type"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cosproxy_retries_total",
			Help: "Retries of requests to COS, by reason: connection (it failed), silence (a pooled connection did not respond), status (such as 503), download (resumed).",
		}, []string{"reason"}),
		expects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cosproxy_expect_total",
			Help: "Uploads sent with Expect: 100-continue, by result: COS sent 100 (continue), nothing for a second (timeout), or a final response (early_verdict).",
		}, []string{"result"}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cosproxy_requests_queued",
			Help: "Requests queued for a concurrency slot.",
		}),
		slowDowns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cosproxy_requests_rejected_total",
			Help: "Requests rejected with SlowDown, by reason: the queue was full (queue_full), the wait too long (queue_timeout), or the memory for request bodies in use (memory).",
		}, []string{"reason"}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cosproxy_query_parameters_removed_total",
			Help: "Undocumented query parameters removed from GET and HEAD requests before signing.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.received, m.sent, m.inFlight, m.aborted, m.rejected, m.retries, m.expects, m.queued, m.slowDowns, m.removed} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// statusLabels are the labels of all statuses, so that requests do not allocate them.
var statusLabels = func() (labels [1000]string) {
	for status := range labels {
		labels[status] = strconv.Itoa(status)
	}
	return labels
}()

func statusLabel(status int) string { return statusLabels[status%len(statusLabels)] }

// retried counts a retry.
func (m *metrics) retried(reason string) { m.retries.WithLabelValues(reason).Inc() }

// series are the metrics for one set of labels. A lookup by labels costs more than the
// increment, and most requests have the labels of the previous one.
type series struct {
	route, action string
	status        int
	requests      prometheus.Counter
	duration      prometheus.Observer
}

func (m *metrics) series(res *result) *series {
	if last := m.last.Load(); last != nil && last.route == res.route && last.action == res.action && last.status == res.status {
		return last
	}
	action := strings.TrimPrefix(res.action, cosreq.ActionPrefix)
	if action == "" {
		action = "unknown"
	}
	s := &series{
		route: res.route, action: res.action, status: res.status,
		requests: m.requests.WithLabelValues(res.route, action, statusLabel(res.status)),
		duration: m.duration.WithLabelValues(action),
	}
	m.last.Store(s)
	return s
}

func (m *metrics) observe(res *result, elapsed time.Duration, in, out int64) {
	if res.aborted {
		m.aborted.Inc()
	}
	s := m.series(res)
	s.requests.Inc()
	s.duration.Observe(elapsed.Seconds())
	m.received.Add(float64(in))
	m.sent.Add(float64(out))
}
