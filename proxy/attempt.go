package proxy

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"
)

// maxSilence is how long a kept connection may be silent after a request before it
// is taken for dead. It may have been forgotten by a NAT or a VPN, or a machine may
// have slept: no FIN or RST tells.
const maxSilence = 5 * time.Second

// closeGrace is the time from the moment that net/http closes a connection until the
// round trip on it counts as failed: it also closes one whose response it has just
// delivered. Over TLS nothing else tells that COS has closed.
const closeGrace = 200 * time.Millisecond

var (
	errSilent         = errors.New("no byte has come on a kept connection")
	errLateTimeout    = errors.New("COS closed a kept connection with status 408 before the request reached it")
	errExpectRefused  = errors.New("status 417 to the Expect that cosproxy has added")
	errUpstreamClosed = errors.New("COS has closed the connection in the middle of the request body")
)

// attempt follows one attempt to send a request: which connection it is on, and
// whether anything has come back. net/http calls it from several goroutines.
type attempt struct {
	t       *signingTransport
	d       *delivery
	req     *http.Request
	gate    *gate // of a large upload, else nil
	expects bool  // the request has an Expect, which is always ours
	hasty   bool  // silence says something, and has not cost an attempt before

	mu        sync.Mutex
	over      bool
	conn      net.Conn      // nil before there is one
	watched   *upstreamConn // conn, if the body comes from the client
	reused    bool
	answered  bool // by a first byte on conn
	abandoned net.Conn
	silence   *time.Timer // nil unless conn may be abandoned

	counted sync.Once // the outcome of Expect
}

// newAttempt prepares the next attempt of d.
func (t *signingTransport) newAttempt(d *delivery) *attempt {
	a := &attempt{t: t, d: d, hasty: !d.silenced && !d.slow}
	req := d.next()
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn:              a.gotConn,
		WroteHeaders:         a.wroteHeaders,
		WroteRequest:         a.wroteRequest,
		GotFirstResponseByte: a.gotFirstByte,
		Got1xxResponse:       a.got1xx,
	})
	a.req = req.WithContext(ctx)
	if d.upload != nil {
		d.upload.interrupted.Store(false)
	}
	// COS judges a form by its fields, which are part of the body.
	if d.upload != nil && req.Body != nil && req.GetBody == nil && d.upload.form == nil {
		a.gate = newGate(ctx, d.upload)
		a.gate.moreTime, a.gate.timedOut = a.moreTime, a.continueTimedOut
		a.req.Body, d.gate = a.gate, a.gate
		if a.expects = !d.noExpect && t.expect.wanted(time.Now()); a.expects {
			req.Header["Expect"] = []string{"100-continue"}
		}
	}
	return a
}

// gotConn is called before anything is written to the connection, more than once if
// net/http sends the request again by itself.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	c := upstreamConnOf(info.Conn)
	a.mu.Lock()
	a.stopSilence()
	a.conn, a.reused, a.answered = info.Conn, info.Reused, false
	if c != nil && info.Reused && !time.Now().Before(c.expires) {
		a.req.Header["Connection"] = []string{"close"}
		a.req.Close = true // heeded without a body; with one, net/http has copied a.req
	}
	if info.Reused && a.gate == nil && a.mayAbandon() {
		a.silence = time.AfterFunc(a.t.maxSilence, a.hangUp)
	}
	if c != nil && a.d.upload != nil && a.req.GetBody == nil {
		a.watched = c
	}
	a.mu.Unlock()
	if a.watched != nil {
		a.watched.watch(a)
	}
}

func (a *attempt) wroteHeaders() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.d.upload != nil && !a.over {
		a.d.upload.watchdog.start()
	}
}

func (a *attempt) wroteRequest(httptrace.WroteRequestInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.d.upload != nil && !a.over {
		a.d.upload.watchdog.stop()
	}
	if a.silence != nil {
		a.silence.Reset(a.t.maxSilence)
	}
}

func (a *attempt) gotFirstByte() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = true
	a.stopSilence()
	if a.gate != nil {
		close(a.gate.answering)
	}
}

func (a *attempt) got1xx(code int, _ textproto.MIMEHeader) error {
	if a.gate != nil {
		a.gate.agree()
	}
	if code == http.StatusContinue {
		a.countExpect(expectContinue)
	}
	return nil
}

// mayAbandon reports whether the request may be sent again at all if its connection
// turns out to be dead. That happens once, and not where COS may work for long before the
// first byte.
func (a *attempt) mayAbandon() bool {
	return a.hasty && (a.gate != nil || a.d.idempotent && (a.req.Body == nil || a.req.GetBody != nil))
}

// harmlessTwice reports whether it does no harm if COS, against all appearance, has
// the request and carries it out later: a PUT that is repeated now could then undo a
// newer one. A read changes nothing, a large upload lacks its body. Of the others COS
// cannot have the whole as long as bytes of it are not acknowledged.
func (a *attempt) harmlessTwice() bool {
	switch a.req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	c := upstreamConnOf(a.conn)
	return a.gate != nil || c != nil && c.unacknowledged()
}

// abandon gives up a kept connection on which nothing has come back, and the other
// idle ones with it. It reports whether the request is to be sent again.
func (a *attempt) abandon() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.answered || !a.reused || a.abandoned != nil || !a.mayAbandon() || !a.harmlessTwice() || !a.t.budget.spend() {
		return false
	}
	a.abandoned = a.conn
	a.t.metrics.retried("silence")
	a.t.closeIdle()
	return true
}

// hangUp ends the wait on a silent connection. net/http then sends the request
// again on another one, or returns, and judge has it sent again.
func (a *attempt) hangUp() {
	if !a.abandon() {
		return
	}
	if c := upstreamConnOf(a.abandoned); c != nil {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // or the kernel would go on sending what is not acknowledged
		}
		_ = c.Close() // without TLS's farewell, which can block
		return
	}
	_ = a.abandoned.Close()
}

// moreTime has COS, if it is known to heed Expect, be silent for longer on a kept
// connection before that counts as dead.
func (a *attempt) moreTime() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.expects && a.reused && a.mayAbandon() && a.t.expect.isHeeded() {
		return max(0, a.t.maxSilence-continueTimeout)
	}
	return 0
}

// continueTimedOut is asked when COS has been silent about a large upload for
// too long. On a kept connection this may be because it is dead, so the
// body is not risked there: false.
func (a *attempt) continueTimedOut() (send bool) {
	if !a.expects {
		return true
	}
	if a.abandon() {
		return false
	}
	a.countExpect(expectTimeout)
	return true
}

func (a *attempt) countExpect(outcome string) {
	if !a.expects {
		return
	}
	a.counted.Do(func() {
		a.t.metrics.expected(outcome)
		a.t.expect.note(outcome, time.Now())
	})
}

// connLost is called when the connection has failed or was closed. What net/http
// does not return from is a read of the client's body, so that is interrupted.
func (a *attempt) connLost(cause error) {
	if errors.Is(cause, net.ErrClosed) {
		time.AfterFunc(closeGrace, a.interrupt)
		return
	}
	a.interrupt()
}

func (a *attempt) interrupt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.d.upload.interrupt()
	if a.gate != nil { // a verdict that came first has ended the attempt by then
		time.AfterFunc(closeGrace, a.gate.lose)
	}
}

// end makes sure that a late word of this attempt does not count for the next.
func (a *attempt) end() {
	a.mu.Lock()
	a.over = true
	a.stopSilence()
	if a.d.upload != nil {
		a.d.upload.watchdog.stop() // COS may have answered before the end of the body
	}
	a.mu.Unlock()
	if a.watched != nil {
		a.watched.unwatch(a)
	}
}

// stopSilence is called with a.mu held.
func (a *attempt) stopSilence() {
	if a.silence != nil {
		a.silence.Stop()
		a.silence = nil
	}
}

// judge tells what only concerns the connection, or the Expect, from a response to
// the request. again asks to send the request once more; that happens once for each
// reason.
func (a *attempt) judge(resp *http.Response, err error) (_ *http.Response, again bool, _ error) {
	d := a.d
	d.silenced = d.silenced || a.abandoned != nil
	failed := func(again bool, cause error) (*http.Response, bool, error) {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, again, cause
	}
	switch {
	case a.abandoned != nil && a.abandoned == a.conn:
		return failed(true, errSilent)
	case err != nil:
		return nil, false, err
	case a.expects && resp.StatusCode == http.StatusExpectationFailed:
		a.countExpect(expectVerdict)
		a.t.expect.refuse(time.Now())
		d.noExpect = true
		return failed(d.replayable(), errExpectRefused)
	case a.reused && resp.StatusCode == http.StatusRequestTimeout && d.replayable():
		// A server that closes an idle connection may say so with 408, just when a
		// request is on its way there (RFC 9110, 15.5.9).
		a.t.closeIdle()
		again = !d.timedOut && a.t.budget.spend()
		if d.timedOut = true; again {
			a.t.metrics.retried("connection")
		}
		return failed(again, errLateTimeout)
	}
	a.countExpect(expectVerdict) // unless it has agreed before
	return resp, false, nil
}

// closeIdle has all requests from now on go out on new connections. It is no loss
// that this includes connections to other addresses: what has one die without a
// word has the others die as well.
func (t *signingTransport) closeIdle() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
