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
	// Routes lead to the buckets. At least one.
	Routes []Route
	// AllowedHosts are names, besides loopback ones and those of the routes and
	// their buckets, that clients may put into Host.
	AllowedHosts []string
	// AllowedOrigins are the sites, such as https://app.example, whose pages may
	// use the proxy through a browser. Others are refused; its own always may.
	AllowedOrigins []string
	// ClientToken is the token that every request must carry. Nil means that none is
	// required.
	ClientToken guard.Token
	// Upstream says how COS is reached.
	Upstream Upstream
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
	// SettingName is how messages call a setting that would help. Nil means
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
		return nil, errors.New("proxy: Options.Routes is empty")
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
		return nil, fmt.Errorf("proxy: register metrics: %w", err)
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
		routes = append(routes, rt)
	}
	if p.router, err = newRouter(routes); err != nil {
		return nil, err
	}
	p.guard = guard.New(append(slices.Clone(o.AllowedHosts), p.router.hosts()...), o.AllowedOrigins, o.ClientToken)
	return p, nil
}

// InFlight is how many requests are being served.
func (p *Proxy) InFlight() int64 { return p.inFlight.Load() }

// Close closes the connections to COS that are not in use.
func (p *Proxy) Close() { p.upstreams.closeIdle() }

// Handle serves one request of a server that NewServer made.
func (p *Proxy) Handle(x *http1.Exchange) {
	p.inFlight.Add(1)
	defer p.inFlight.Add(-1)
	s := p.scratch.get(x)
	res := result{start: time.Now()}
	ended := false
	defer func() { // a panic is counted as well, and what it leaves behind is not used again
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

// serve is the way of one request: parse, guard, route, authorize, build, sign, send,
// respond. Each step takes values and returns values.
func (p *Proxy) serve(s *scratch, res *result) (err error) {
	x, req := s.exchange, &s.request
	if *req, err = parse(x); err != nil {
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

// readBody reads as much of the body as the plan says. If that names keys, chosen is nil,
// and the request is authorized now.
func (p *Proxy) readBody(s *scratch, plan bodyPlan, candidates []candidate, chosen *candidate) (body, *candidate, error) {
	req := &s.request
	s.upload = upload{x: s.exchange, limit: p.limits.BodyBytes, hasCRC: p.checksums && storesBody(&candidates[0], req)}
	b, err := plan.read(&s.upload, req, s.buffer)
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

// admit checks what needs no route: size, loops, Host, origin and token.
func (p *Proxy) admit(x *http1.Exchange, req *request) error {
	if err := checkBodySize(p.limits.BodyBytes, x.Body.Length()); err != nil {
		return err
	}
	if err := p.via.check(req); err != nil {
		return err
	}
	if err := p.guard.Check(req.guardRequest()); err != nil {
		return err
	}
	return checkS3(req)
}

// authorizeHead plans what is read of the body and, unless that names keys, authorizes
// the request. Otherwise it only leaves the candidates whose route allows the action.
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
		// The keys that the first candidate would allow unread may not be for this one.
		if plan = planBody(req, chosen, length); plan.namesKeys() {
			return plan, nil, nil
		}
	}
	return plan, chosen, nil
}

// prepare builds the request to COS.
func (p *Proxy) prepare(s *scratch, c *candidate, b *body) (*outgoing, error) {
	to := c.route.upstream
	if c.endpoint != c.route.endpoint {
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
		route: c.route, upstream: to, head: head, body: b,
		idempotent: isIdempotent(&s.request, c, b), slow: respondsSlowly(&s.request, c, b),
		now: p.now, metrics: p.metrics, canceler: s.exchange.Canceler(), ctx: s.wait, wire: s.wire,
	}
	if b.length == 0 {
		s.outgoing.body = nil
	}
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
	res.requestID = string(resp.Get("x-cos-request-id"))
	s.wait.end()
	return respond(s.exchange, resp)
}

// finish responds to what failed before COS's response was begun, and breaks the
// connection of a response that cannot be finished: the client must not see a clean
// end.
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
