package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configure New.
type Options struct {
	// Routes lead to the buckets. At least one.
	Routes []Route
	// AllowedHosts are names, beside loopback ones and those of the routes and
	// their buckets, that clients may put into Host.
	AllowedHosts []string
	// AllowedOrigins are the sites, such as https://app.example, whose pages may
	// use the proxy through a browser. Others are refused; its own always may.
	AllowedOrigins []string
	// Token is what each request has to bring. Nil means that none is wanted.
	Token Token
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
	// Limits bound what clients can take.
	Limits Limits
	// SkipChecksums leaves out the CRC-64 of uploads and of whole downloads. They
	// are compared with the x-cos-hash-crc64ecma of COS otherwise.
	SkipChecksums bool
}

// Proxy is the handler that New returns.
type Proxy struct {
	routes       []*route
	bucketHosts  map[string][]*route // by the host of the endpoint and the names that COS has for the bucket
	serviceHosts map[string]bool     // that list the buckets of the account
	guard        guard
	via          *via
	limits       Limits
	admission    *admission
	checksums    bool
	log          *slog.Logger
	metrics      *metrics
}

// New returns the handler. It fails if a route is incomplete, if its endpoint is
// not a plain http or https URL, or if two routes answer to the same address.
func New(o Options) (*Proxy, error) {
	if len(o.Routes) == 0 {
		return nil, errors.New("proxy: Options.Routes is empty")
	}
	if o.Transport == nil {
		o.Transport = NewTransport(TransportOptions{})
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("proxy: register metrics: %w", err)
	}
	limits := o.Limits.withDefaults()
	p := &Proxy{
		bucketHosts: make(map[string][]*route), serviceHosts: make(map[string]bool),
		limits: limits, admission: newAdmission(limits, m), checksums: !o.SkipChecksums,
		log: o.Logger, metrics: m, via: newVia(),
	}
	hosts := slices.Clone(o.AllowedHosts)
	for _, r := range o.Routes {
		rt, err := newRoute(r)
		if err != nil {
			return nil, err
		}
		rt.upstream.base, rt.upstream.now = o.Transport, o.Now
		rt.upstream.budget, rt.upstream.metrics = newRetryBudget(), m
		rt.upstream.maxSilence = min(maxSilence, limits.StallTimeout/2)
		if err := p.add(rt); err != nil {
			return nil, err
		}
		hosts = append(hosts, rt.Hosts...)
	}
	hosts = slices.AppendSeq(slices.AppendSeq(hosts, maps.Keys(p.bucketHosts)), maps.Keys(p.serviceHosts))
	p.guard = newGuard(hosts, o.AllowedOrigins, o.Token)
	return p, nil
}

// add takes a route in, unless another answers to one of its addresses.
func (p *Proxy) add(rt *route) error {
	for _, other := range p.routes {
		shared := len(rt.Hosts) == 0 && len(other.Hosts) == 0 ||
			slices.ContainsFunc(rt.Hosts, func(h string) bool { return slices.Contains(other.Hosts, h) })
		if shared && rt.PathPrefix == other.PathPrefix {
			return fmt.Errorf("proxy: routes %s and %s have the same path prefix %s and host", other.Name, rt.Name, rt.PathPrefix)
		}
		if strings.EqualFold(rt.endpoint.Host, other.endpoint.Host) && (rt.Bucket != other.Bucket || rt.Region != other.Region) {
			return fmt.Errorf("proxy: routes %s and %s are for two buckets, but both lead to %s; put {bucket} and {region} into the endpoint",
				other.Name, rt.Name, rt.endpoint.Host)
		}
	}
	p.routes = append(p.routes, rt)
	hosts := rt.COSHosts()
	if host := hostname(rt.endpoint.Host); !isLoopback(host) { // by which clients call the proxy itself
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		if own := p.bucketHosts[host]; len(own) == 0 || own[len(own)-1] != rt {
			p.bucketHosts[host] = append(own, rt)
		}
	}
	for _, host := range serviceHosts(rt.Region) {
		p.serviceHosts[host] = true
	}
	return nil
}

// exchange is one request and what became of it.
type exchange struct {
	w         http.ResponseWriter
	r         *http.Request
	ctx       context.Context // ends with the request, or with end
	end       context.CancelCauseFunc
	start     time.Time
	upload    upload
	target    target
	out       *http.Request // to COS
	status    int
	bytesOut  int64
	requestID string
	aborted   bool  // the answer was begun and not finished
	err       error // why the answer is not COS's, or not whole
}

func (x *exchange) flush() error {
	return http.NewResponseController(x.w).Flush()
}

// ServeHTTP implements http.Handler. It panics with http.ErrAbortHandler to
// break the client's connection when an answer cannot be finished.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, start: time.Now(), upload: upload{r: r, limits: p.limits}}
	x.target.op.key = strings.TrimPrefix(r.URL.Path, "/") // for the log, if it gets no further
	x.ctx, x.end = context.WithCancelCause(r.Context())
	defer x.end(nil)
	x.upload.end = x.end
	if !x.upload.empty() {
		defer unblockReads(x.ctx, w)()
		x.upload.watchdog = newWatchdog(p.limits.StallTimeout, func() { x.end(x.upload.stalled()) })
		defer x.upload.watchdog.stop()
	}
	p.metrics.inFlight.Inc()
	// Deferred, so that a broken download is counted and logged as well.
	defer p.finish(x)
	err := p.serve(x)
	boundLastWrite(w, p.limits.StallTimeout)
	if err != nil {
		p.fail(x, err)
	}
}

// serve is the story of one request.
func (p *Proxy) serve(x *exchange) error {
	if err := checkFraming(x.w, x.r); err != nil {
		return err
	}
	if err := p.limits.check(x.r); err != nil {
		return err
	}
	if err := checkRequestLine(x.r); err != nil {
		return err
	}
	if err := p.via.check(x.r.Header); err != nil {
		return err
	}
	if err := p.guard.check(x.r); err != nil {
		return err
	}
	if err := x.checkNoBody(); err != nil {
		return err
	}
	q, err := parseQuery(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	t, err := p.resolve(x.r, q)
	if t.route != nil {
		x.target = t
	}
	if err != nil {
		return err
	}
	p.metrics.removed.Add(float64(t.removed))
	x.upload.summed = p.checksums && x.target.storesBody(x.r.Header)
	// A client that announces a short body and does not send it takes no slot.
	release, err := p.admission.hold(x)
	if err != nil {
		return err
	}
	defer release()
	if err := x.measure(); err != nil {
		return x.failure(err)
	}
	out, err := rewrite(x)
	if err != nil {
		return err
	}
	out.Header["Via"] = p.via.header(x.r.Header)
	x.out = out
	if err := p.load(x); err != nil {
		return err
	}
	if err := p.admission.enter(x.ctx); err != nil {
		return x.failure(err)
	}
	defer p.admission.leave()
	d := &delivery{req: out, idempotent: isIdempotent(x.r, x.target) || x.upload.form.idempotent(), slow: x.respondsSlowly()}
	if x.upload.attach(out); !x.upload.empty() {
		d.upload = &x.upload
	}
	resp, err := x.target.route.upstream.send(d) //nolint:bodyclose // respond closes it
	if err != nil {
		return x.failure(err)
	}
	return p.respond(x, resp)
}

// load reads what has to be known of the body before anything is sent.
func (p *Proxy) load(x *exchange) error {
	limit := int64(replayLimit)
	if x.readsDeletes() {
		limit = multiDeleteLimit
	}
	if err := x.upload.load(limit); err != nil {
		return x.failure(err)
	}
	switch {
	case x.readsDeletes():
		if x.target.namesKeysInBody() {
			if err := p.authorizeDeletes(x); err != nil {
				return err
			}
		}
		return x.addDigest()
	case x.target.op.action == postObject:
		return p.readForm(x)
	}
	return nil
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
	defer x.hangUpIfUnread()()
	p.guard.letOriginRead(x.w.Header(), x.r)
	answer.write(x.w, x.r, x.requestID)
}
