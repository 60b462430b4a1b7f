package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configure New.
type Options struct {
	// Route is the bucket that requests go to and what may be done there.
	Route Route
	// Credentials hands out the route's key. Required.
	Credentials Credentials
	// AllowedHosts are names, beside loopback ones and the bucket's own host,
	// that clients may put into Host.
	AllowedHosts []string
	// Transport sends the signed requests. Nil means NewTransport with its
	// defaults. It must not follow redirects, decompress, or retry a request
	// whose body it has touched.
	Transport http.RoundTripper
	// Logger gets one line for each request, and nothing secret. Nil discards.
	Logger *slog.Logger
	// Registerer takes the request metrics. Nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Now is the clock that signatures are made with. Nil means time.Now.
	Now func() time.Time
}

// Proxy is the handler that New returns.
type Proxy struct {
	route    Route
	endpoint *url.URL
	guard    guard
	upstream signingTransport
	log      *slog.Logger
	metrics  *metrics
}

// New returns the handler for one route. It fails if the route is incomplete
// or its endpoint is not a plain http or https URL.
func New(o Options) (*Proxy, error) {
	switch {
	case o.Route.Bucket == "" || o.Route.Region == "":
		return nil, errors.New("proxy: a route needs a bucket and a region")
	case o.Credentials == nil:
		return nil, errors.New("proxy: Options.Credentials is missing")
	}
	endpoint, err := o.Route.URL()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("proxy: register metrics: %w", err)
	}
	p := &Proxy{
		route:    o.Route,
		endpoint: endpoint,
		guard:    newGuard(append([]string{endpoint.Host}, o.AllowedHosts...)...),
		upstream: signingTransport{base: o.Transport, credentials: o.Credentials, now: o.Now, onRejected: m.keyRejected},
		log:      o.Logger,
		metrics:  m,
	}
	if p.upstream.base == nil {
		p.upstream.base = NewTransport(TransportOptions{})
	}
	if p.upstream.now == nil {
		p.upstream.now = time.Now
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	return p, nil
}

// exchange is one request and what became of it.
type exchange struct {
	w         http.ResponseWriter
	r         *http.Request
	start     time.Time
	upload    upload
	op        operation
	status    int
	bytesOut  int64
	requestID string
	err       error // why the answer is not COS's, or not whole
}

// hangUpIfUnread ends the connection with this answer if the client has not
// sent its whole body. Without that, net/http would first read on, and a
// refusal would not reach a client that pauses in the middle of an upload.
func (x *exchange) hangUpIfUnread() {
	if !x.upload.whole() {
		x.w.Header().Set("Connection", "close")
	}
}

func (x *exchange) flush() error {
	return http.NewResponseController(x.w).Flush()
}

// ServeHTTP implements http.Handler. It panics with http.ErrAbortHandler to
// break the client's connection when an answer cannot be finished.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, start: time.Now(), upload: upload{r: r}}
	p.metrics.inFlight.Inc()
	// Deferred, so that a broken download is counted and logged as well.
	defer p.finish(x)
	if err := p.serve(x); err != nil {
		p.fail(x, err)
	}
}

// serve is the story of one request.
func (p *Proxy) serve(x *exchange) error {
	if err := checkFraming(x.w, x.r); err != nil {
		return err
	}
	if err := checkMethod(x.r.Method); err != nil {
		return err
	}
	if err := p.guard.check(x.r); err != nil {
		return err
	}
	q, err := parseQuery(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	key, err := objectKey(x.r)
	if err != nil {
		return err
	}
	if x.op, err = classify(x.r.Method, key, q); err != nil {
		return err
	}
	if err := p.route.authorize(x.op, x.r, q); err != nil {
		return err
	}
	out, err := p.rewrite(x.r, x.op, q, &x.upload)
	if err != nil {
		return err
	}
	resp, err := p.upstream.send(out)
	if err != nil {
		return upstreamError(err, &x.upload)
	}
	return p.respond(x, resp)
}

// fail answers with an error of the proxy's own. A client that has gone gets
// no answer, and above all no clean end of one.
func (p *Proxy) fail(x *exchange, err error) {
	x.err = err
	var answer *Error
	if !errors.As(err, &answer) {
		panic(http.ErrAbortHandler)
	}
	x.status = answer.Status
	x.requestID = newRequestID()
	x.hangUpIfUnread()
	answer.write(x.w, x.r, x.requestID)
}
