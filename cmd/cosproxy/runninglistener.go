package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/caarlos0/env/v11"
)

const (
	// ownTimeout limits a request of a command to cosproxy. It is less than the 5 s that
	// the manual recommends as timeoutSeconds of probes, so that the command can print
	// the cause.
	ownTimeout = 4 * time.Second
	// maxReason is the maximum length in bytes of the reason that a command prints.
	maxReason = 1000
)

// parseOnly parses the environment, but reports problems of these fields only: a command
// that talks to cosproxy must work where the other settings are not complete.
func parseOnly(environ []string, fields ...string) (*config, error) {
	c, p := new(config), newProblems()
	var needed []setting
	for _, field := range fields {
		needed = append(needed, settingOf(field))
	}
	p.addUnreadable(needed, env.ParseWithOptions(c, env.Options{Environment: env.ToMap(environ)}))
	return c, p.err()
}

// runningListener is a listener of the cosproxy that runs with the same settings on this
// machine.
type runningListener struct {
	name      string // setting and value
	network   string
	addresses []string    // to be tried in turn
	tls       *tls.Config // nil: plain HTTP
}

// newRunningListener returns the listener at the address of a field. fallback is the setting
// to use if the address says too little. Over TLS it accepts every certificate, which is
// only right for requests without a secret; see dial.
func newRunningListener(c *config, field string, a address, fallback string) (*runningListener, error) {
	problem := ""
	switch {
	case a == address{}:
		problem = "is off"
	case a.network == "systemd":
		problem = "is a socket from systemd, whose address only systemd knows"
	case a.ephemeral():
		problem = "has port 0, so its port is not known"
	}
	if problem != "" {
		return nil, fmt.Errorf("%s %s; set %s to host:port, such as %s, or to unix:///path",
			variable(field), problem, variable(fallback), settingOf(fallback).example)
	}
	l := &runningListener{name: variable(field) + "=" + a.String(), network: a.network, addresses: dialable(a)}
	if a.network == "tcp" && c.TLSCertFile != "" && field != "HealthListen" {
		l.tls = &tls.Config{
			MinVersion: tls.VersionTLS12,
			// dial connects to this machine only. A probe that compared the
			// certificate would fail while it is replaced, and kubelet would restart a
			// process that serves.
			InsecureSkipVerify: true, //nolint:gosec // see above
		}
	}
	return l, nil
}

// dialable returns the addresses at which a listener on a can be reached from this
// machine.
func dialable(a address) []string {
	if a.network != "tcp" {
		return []string{a.at}
	}
	host, port, _ := net.SplitHostPort(a.at) // it was parsed before
	v4, v6 := net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)
	switch host {
	case "", "localhost":
		return []string{v4, v6}
	case "0.0.0.0":
		return []string{v4}
	case "::": // usually accepts IPv4 too
		return []string{v6, v4}
	}
	return []string{a.at}
}

var errOtherMachine = errors.New("this is an address of another machine; run the command where cosproxy runs")

// dial connects to the first address that accepts connections. It refuses connections
// that leave this machine.
func (l *runningListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var failed error
	for _, at := range l.addresses {
		c, err := new(net.Dialer).DialContext(ctx, l.network, at)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		return withinMachine(c)
	}
	return nil, failed
}

// withinMachine closes c if it leaves this machine. A connection to one of the machine's
// own addresses has this address on both sides.
func withinMachine(c net.Conn) (net.Conn, error) {
	to, tcp := c.RemoteAddr().(*net.TCPAddr)
	from, _ := c.LocalAddr().(*net.TCPAddr)
	if !tcp || to.IP.IsLoopback() || from != nil && to.IP.Equal(from.IP) {
		return c, nil
	}
	c.Close()
	return nil, errOtherMachine
}

// request sends a request without a body on a connection of its own, with a bearer token
// unless it is empty. The text is the response body if it is plain text, on one line.
func (l *runningListener) request(ctx context.Context, method, path, bearer string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, ownTimeout)
	defer cancel()
	transport := &http.Transport{DialContext: l.dial, TLSClientConfig: l.tls, DisableKeepAlives: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(true)
	req := (&http.Request{
		Method: method,
		URL:    &url.URL{Scheme: "http", Host: "localhost", Path: path}, // dial determines the address
		Header: make(http.Header),
	}).WithContext(ctx)
	if l.tls != nil {
		req.URL.Scheme = "https"
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return 0, "", l.explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReason))
	if err == nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		text = oneLine(string(body))
	}
	return resp.StatusCode, text, nil
}

// explain adds to an error of a request what to do next.
func (l *runningListener) explain(err error) error {
	switch {
	case errors.Is(err, errOtherMachine):
	case errors.Is(err, context.Canceled):
		err = errors.New("interrupted; run the command again")
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("no response in time; look at the log of cosproxy")
	case isRefused(err):
		err = errors.New("nothing listens there; check that cosproxy runs, with the same settings")
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("permission denied; run the command as the user of cosproxy, or set %s", variable("SocketMode"))
	default:
		err = unquoted(err)
	}
	return fmt.Errorf("%s: %w", l.name, err)
}

// isRefused reports whether err means that there is no listener.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// oneLine joins the lines of s and drops characters that a terminal could interpret.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// pollInterval is the pause between two attempts.
const pollInterval = 250 * time.Millisecond

// poll calls attempt until it succeeds, for at most limit; zero: once. It returns the last
// error that is not caused by the end of ctx or of the time.
func poll(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	if limit == 0 {
		return attempt(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := attempt(ctx)
	for last != nil {
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pollInterval):
		}
		if err := attempt(ctx); err == nil || ctx.Err() == nil {
			last = err
		}
	}
	return nil
}
