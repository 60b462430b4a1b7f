package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
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
	// StallTimeout is how long a body may stand still, either way, before the
	// exchange is ended. Zero means one minute.
	StallTimeout time.Duration
}

// Proxy is the handler that New returns.
type Proxy struct {
	route    Route
	endpoint *url.URL
	guard    guard
	upstream signingTransport
	stall    time.Duration
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
		stall:    cmp.Or(o.StallTimeout, stallTimeout),
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
	ctx       context.Context // ends with the request, or with end
	end       context.CancelCauseFunc
	start     time.Time
	upload    upload
	op        operation
	status    int
	bytesOut  int64
	requestID string
	aborted   bool  // the answer was begun and not finished
	err       error // why the answer is not COS's, or not whole
}

// hangUpIfUnread ends the connection with this answer if the client has not
// sent its whole body. Without that, net/http would first read on, and a
// refusal would not reach a client that pauses in the middle of an upload.
func (x *exchange) hangUpIfUnread() {
	if !x.upload.whole() {
		x.w.Header().Set("Connection", "close")
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(lastRead))
	}
}

// lastRead is how long net/http may read on from a client that was refused in
// the middle of its body, so that the client can take the answer in.
const lastRead = time.Second

func (x *exchange) flush() error {
	return http.NewResponseController(x.w).Flush()
}

// ServeHTTP implements http.Handler. It panics with http.ErrAbortHandler to
// break the client's connection when an answer cannot be finished.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, start: time.Now(), upload: upload{r: r}}
	x.op.key = strings.TrimPrefix(r.URL.Path, "/") // for the log, if it gets no further
	x.ctx, x.end = context.WithCancelCause(r.Context())
	defer x.end(nil)
	defer unblockReads(x.ctx, w)()
	if !x.upload.empty() {
		x.upload.watchdog = newWatchdog(p.stall, func() { x.end(x.upload.stalled()) })
		defer x.upload.watchdog.stop()
		x.ctx = x.upload.watched(x.ctx)
	}
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
	out, err := p.rewrite(x, q)
	if err != nil {
		return err
	}
	if err := x.upload.load(); err != nil {
		return x.failure(err)
	}
	x.upload.attach(out)
	resp, err := p.upstream.send(out)
	if !x.upload.empty() {
		x.upload.watchdog.stop() // COS may have answered before the end of the body
	}
	if err != nil {
		return x.failure(err)
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
