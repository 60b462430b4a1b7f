package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cosproxy/proxy/guard"
	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// Options configure New.
type Options struct {
	// Routes lead to the buckets. At least one is required.
	Routes []Route
	// AllowedHosts are further names that clients may send in Host. Loopback names and
	// the hosts of routes and their buckets are always allowed.
	AllowedHosts []string
	// AllowedOrigins are origins, such as https://app.example, whose pages may use the
	// proxy from a browser. The proxy's own origin is always allowed, others never.
	AllowedOrigins []string
	// ClientToken returns the token that every request must carry. Nil means that
	// requests need no token.
	ClientToken guard.Token
	// Upstream says how COS is reached.
	Upstream Upstream
	// Logger receives one record per request, without secrets. Nil discards them.
	Logger *slog.Logger
	// Registerer registers the request metrics. Nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Now is the clock for signatures. Nil means time.Now.
	Now func() time.Time
	// Limits cap concurrency, sizes and times. The zero value means the defaults.
	Limits Limits
	// SkipChecksums turns off the CRC-64 check of uploads and complete downloads.
	// False compares their CRC-64 with the x-cos-hash-crc64ecma of COS.
	SkipChecksums bool
	// SettingName returns the name of a setting for error messages. Nil means
	// Setting.String.
	SettingName func(Setting) string
}

// Proxy signs requests and forwards them to COS.
type Proxy struct {
	router      *router
	upstreams   *upstreams
	guard       *guard.Guard
	via         *via
	limits      Limits
	admission   *admission
	checksums   bool
	now         func() time.Time
	settingName func(Setting) string
	reporter    reporter
	metrics     *metrics
	scratch     scratchPool
	inFlight    atomic.Int64
}

// New returns a proxy; NewServer serves it. It fails if a route is incomplete, if its
// endpoint is not a plain http or https URL, or if two routes have the same address.
func New(o Options) (*Proxy, error) {
	if len(o.Routes) == 0 {
		return nil, errors.New("proxy: Options.Routes is empty; add at least one Route")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	limits := o.Limits.withDefaults()
	p := &Proxy{
		upstreams: newUpstreams(o.Upstream, limits.StallTimeout),
		limits:    limits, checksums: !o.SkipChecksums, now: o.Now,
		settingName: o.SettingName, via: newVia(),
	}
	var err error
	if p.metrics, err = newMetrics(o.Registerer, p.InFlight); err != nil {
		return nil, fmt.Errorf("proxy: Options.Registerer rejects the metrics: %w; use another Registerer for each Proxy", err)
	}
	p.admission = newAdmission(limits, p.metrics)
	p.reporter = reporter{o.Logger, p.metrics, o.SettingName}
	var routes []*route
	for _, r := range o.Routes {
		rt, err := newRoute(r)
		if err != nil {
			return nil, err
		}
		if rt.upstream, err = p.upstreams.get(rt.endpoint); err != nil {
			return nil, fmt.Errorf("proxy: endpoint of route %s: %w", rt.Name, err)
		}
		if endpoint := spareEndpoint(rt.endpoint, rt.Bucket, rt.Region); o.Upstream.SpareDomain && endpoint != nil {
			to, err := p.upstreams.get(endpoint)
			if err != nil {
				return nil, fmt.Errorf("proxy: spare domain of route %s: %w", rt.Name, err)
			}
			rt.spare = newSpareHost(to, rt.Name, o.Logger)
		}
		routes = append(routes, rt)
	}
	if p.router, err = newRouter(routes); err != nil {
		return nil, err
	}
	p.guard = guard.New(append(slices.Clone(o.AllowedHosts), p.router.hosts()...), o.AllowedOrigins, o.ClientToken)
	return p, nil
}

// InFlight returns the number of requests being served.
func (p *Proxy) InFlight() int64 { return p.inFlight.Load() }

// Close closes idle connections to COS.
func (p *Proxy) Close() { p.upstreams.closeIdle() }

// handle serves one request.
func (p *Proxy) handle(x *http1.Exchange) {
	p.inFlight.Add(1)
	defer p.inFlight.Add(-1)
	s := p.scratch.get(x)
	res := result{start: time.Now()}
	ended := false
	defer func() { // report panics too, but do not reuse the memory they leave behind
		p.reporter.report(x, &s.request, &res)
		if ended {
			p.scratch.put(s)
		}
	}()
	err := p.serve(s, &res)
	s.wait.end()
	p.finish(x, &s.request, &res, err)
	ended = true
}

// serve runs the steps of one request: parse, guard, route, authorize, build, sign,
// send, respond. Each step takes values and returns values.
func (p *Proxy) serve(s *scratch, res *result) (err error) {
	x, req := s.exchange, &s.request
	*req, err = parse(x)
	if p.router.setDialect(req); err != nil {
		return err
	}
	if err := p.admit(x, req); err != nil {
		return err
	}
	source, err := p.router.copySource(req, p.guard)
	if err != nil {
		return err
	}
	candidates, err := p.router.candidates(s.candidates[:0], req, source)
	if err != nil {
		return err
	}
	res.setCandidate(&candidates[0])
	if err := req.checkExpiry(p.now().Add(candidates[0].route.offset())); err != nil {
		return err
	}
	plan, chosen, err := p.authorizeHead(x, req, &candidates)
	if err != nil {
		return err
	}
	reserved, err := p.admission.reserve(plan.memory())
	if err != nil {
		return err
	}
	defer reserved.release()
	body, chosen, err := p.readBody(s, plan, candidates, chosen)
	if err != nil {
		return err
	}
	res.setCandidate(chosen)
	if err := p.admission.enter(s.wait); err != nil {
		return err
	}
	defer p.admission.leave()
	out, err := p.prepare(s, chosen, &body)
	if err != nil {
		return err
	}
	return p.forward(s, out, chosen, &body, res)
}

// readBody reads the part of the body that the plan requires. chosen is nil if the body
// names object keys; readBody then authorizes the request.
func (p *Proxy) readBody(s *scratch, plan bodyPlan, candidates []candidate, chosen *candidate) (body, *candidate, error) {
	req := &s.request
	limit := p.limits.BodyBytes
	if req.coding != nil {
		limit = 0 // the length after decoding was checked
	}
	s.upload = upload{
		received: receivedBody{s.exchange, limit},
		hasCRC:   p.checksums && storesBody(&candidates[0], req),
	}
	b, err := plan.read(&s.upload, req, s.buffer)
	if first := candidates[0].route; err == nil && b.form != nil {
		err = b.form.checkPolicy(first.Bucket, p.now().Add(first.offset()))
	}
	if err != nil {
		return b, nil, err
	}
	if chosen == nil {
		if chosen, err = authorize(candidates, req, bodyKeys{b.deleteKeys, b.form}); err != nil {
			return b, nil, err
		}
		if b.form != nil {
			if err := b.form.complete(chosen.op.Key); err != nil {
				return b, nil, err
			}
		}
	}
	return b, chosen, checkLength(req, chosen, &b)
}

// admit runs the checks that need no route: loops, Host, origin, client token, dialect, body
// size.
func (p *Proxy) admit(x *http1.Exchange, req *request) error {
	if err := p.via.check(req); err != nil {
		return err
	}
	if err := p.guard.Check(req.guardRequest()); err != nil {
		return err
	}
	if err := req.applyDialect(); err != nil {
		return err
	}
	return checkBodySize(p.limits.BodyBytes, announcedLength(req, x))
}

// authorizeHead plans which part of the body to read first. It authorizes the request
// unless the body names object keys; then it only drops the candidates whose route does
// not allow the action, and returns no candidate.
func (p *Proxy) authorizeHead(x *http1.Exchange, req *request, candidates *[]candidate) (bodyPlan, *candidate, error) {
	length, err := bodyLength(req, x)
	if err != nil {
		return bodyPlan{}, nil, err
	}
	allowed, err := filterByAction(*candidates, req)
	if err != nil {
		return bodyPlan{}, nil, err
	}
	*candidates = allowed
	plan := planBody(req, &allowed[0], length)
	if plan.namesKeys() {
		return plan, nil, nil
	}
	chosen, err := authorize(allowed, req, bodyKeys{})
	if err != nil {
		return plan, nil, err
	}
	p.metrics.removed.Add(float64(chosen.removed))
	if chosen != &allowed[0] {
		// The first candidate may allow every object key in the body; this one may not.
		if plan = planBody(req, chosen, length); plan.namesKeys() {
			return plan, nil, nil
		}
	}
	return plan, chosen, nil
}

// prepare builds the request to COS.
func (p *Proxy) prepare(s *scratch, c *candidate, b *body) (*outgoing, error) {
	to, spare := c.route.upstream, c.route.spare
	if c.endpoint != c.route.endpoint { // GET Service
		spare = nil
		var err error
		if to, err = p.upstreams.get(c.endpoint); err != nil {
			return nil, err
		}
	}
	head, err := build(c, &s.request, b, p.via, s.fields)
	if err != nil {
		return nil, err
	}
	s.fields = head.fields
	s.outgoing = outgoing{
		route: c.route, upstream: to, spare: spare, head: head, body: b,
		idempotent: isIdempotent(&s.request, c, b), slow: respondsSlowly(&s.request, c, b),
		now: p.now, metrics: p.metrics, canceler: s.exchange.Canceler(), ctx: s.wait, wire: s.wire,
	}
	if b.length == 0 {
		s.outgoing.body = nil
	}
	s.outgoing.startAtSpare()
	return &s.outgoing, nil
}

// forward sends the request and streams the response back.
func (p *Proxy) forward(s *scratch, out *outgoing, c *candidate, b *body, res *result) error {
	resp, err := out.send()
	if err != nil {
		return err
	}
	defer resp.Close()
	if err := resp.accept(b); err != nil {
		return err
	}
	resp.resume(c, out, &s.resumed)
	if p.checksums && resp.isSuccess(b) {
		if err := resp.checkStored(b); err != nil {
			return err
		}
		if err := resp.verify(c, &s.verified); err != nil {
			return err
		}
	}
	res.requestID = string(resp.requestID())
	s.wait.end()
	s.request.adaptStatus(resp)
	return respond(s.exchange, resp)
}

// finish sends an error response if err came before the response header. Otherwise it
// breaks the client's connection, so that the client does not take a truncated response
// for a complete one.
func (p *Proxy) finish(x *http1.Exchange, req *request, res *result, err error) {
	if err == nil {
		res.status, res.bytesOut = x.Response.Status(), x.Response.Count()
		return
	}
	if x.Response.Sent() {
		res.status, res.bytesOut = x.Response.Status(), x.Response.Count()
		res.err, res.aborted = cause(x, err), true
		x.Response.Abort()
		return
	}
	res.err = failure(err)
	var proxyErr *coserr.Error
	if !errors.As(res.err, &proxyErr) {
		res.status = statusClientGone
		x.Response.Abort()
		return
	}
	res.status, res.requestID = proxyErr.Status, coserr.NewRequestID()
	sendError(x, req, proxyErr, res.requestID, p.guard, p.settingName)
}
