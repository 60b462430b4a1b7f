package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/credcache"
	"cosproxy/proxy"
	"cosproxy/signer"
)

const checkUsage = `cosproxy check fetches the credentials of each route, sends one request to COS that
changes nothing, and reports problems. With the settings of cosproxy issuer, it also
fetches the JWKS.

Usage:
  cosproxy check [--json]

  --json   print the results as JSON

Exit codes: 0 everything works, 1 a problem was found, 2 invalid arguments.
`

// checkTimeout limits the request to COS. Package credcache limits the fetch.
const checkTimeout = 15 * time.Second

// report is the result of the check of one route, and its JSON form. Names and codes are
// stable; new ones may be added.
type report struct {
	Route    string `json:"route"`
	Bucket   string `json:"bucket"`
	Region   string `json:"region"`
	Endpoint string `json:"endpoint"`
	Source   string `json:"source"`
	// RoleARN is the second role, which the credentials of Source assume; absent without one.
	RoleARN string `json:"role_arn,omitempty"`
	OK      bool   `json:"ok"`

	SecretID  string     `json:"secret_id,omitempty"`          // of the credentials; not a secret
	Expires   *time.Time `json:"credentials_expiry,omitempty"` // absent without credentials or an expiry
	Action    string     `json:"action,omitempty"`             // COS action of the request
	Status    int        `json:"status,omitempty"`             // HTTP status of the response
	RequestID string     `json:"request_id,omitempty"`         // of COS or STS
	// ClockOffset is how far the clock of this machine is ahead of the last server that
	// sent a Date, in seconds; absent if none did.
	ClockOffset *int `json:"clock_offset_seconds,omitempty"`

	fault
	Note string `json:"note,omitempty"` // with OK
}

// runCheck checks the credentials of each route with a request to COS that changes
// nothing.
func runCheck(ctx context.Context, args, environ []string, std streams) int {
	flags := newFlags("check")
	asJSON := flags.Bool("json", false, "")
	if code, ends := parseFlags(flags, args, checkUsage, std); ends {
		return code
	}
	cfg, err := loadAnyConfig(environ)
	if err != nil && *asJSON {
		return result{Problems: strings.Split(err.Error(), "\n"), Warnings: cfg.warnings}.write(std)
	}
	if err != nil {
		cfg.printProblems(err, std.err)
		return exitFailure
	}
	if !*asJSON {
		cfg.printWarnings(std.err)
	}
	defer logLibraries(slog.New(slog.NewTextHandler(std.err, nil)))()
	t := newTransports(cfg)
	defer t.close()
	reports, err := checkRoutes(ctx, cfg, t)
	if err != nil {
		fmt.Fprintln(std.err, "cosproxy:", err)
		return exitFailure
	}
	all := result{JWKS: cfg.checkJWKS(ctx, t), Routes: reports, Warnings: cfg.warnings}
	all.OK = all.JWKS == nil || all.JWKS.OK
	for _, r := range reports {
		all.OK = all.OK && r.OK
	}
	if *asJSON {
		return all.write(std)
	}
	for _, r := range reports {
		fmt.Fprint(std.out, r.text())
	}
	if all.JWKS != nil {
		fmt.Fprint(std.out, all.JWKS.text())
	}
	return all.code()
}

// result is the result of all checks, and its JSON form.
type result struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"` // of the settings; the routes were not checked then
	Warnings []string `json:"warnings,omitempty"` // risky or suspicious settings
	Routes   []report `json:"routes"`
	// JWKS is absent unless the settings are those of cosproxy issuer and have the URL of one.
	JWKS *jwksReport `json:"jwks,omitempty"`
}

func (r result) code() int {
	if r.OK {
		return exitOK
	}
	return exitFailure
}

func (r result) write(std streams) int {
	enc := json.NewEncoder(std.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return exitFailure
	}
	return r.code()
}

func checkRoutes(ctx context.Context, cfg *resolved, t *transports) ([]report, error) {
	sourceClock := &clock{next: t.toSource}
	t.toSource = sourceClock
	store, err := newCredentialStore(cfg, t, credcache.Options{})
	if err != nil {
		return nil, err
	}
	defer store.close()
	var reports []report
	for _, r := range cfg.routes {
		c := &routeCheck{
			cfg: cfg, route: r, sourceClock: sourceClock, cosClock: &clock{next: t.toCOS},
			report: report{Route: r.name, Bucket: r.Bucket, Region: r.Region, Endpoint: r.endpoint.String(), Source: r.Source},
		}
		if cfg.Source.chained(r.Source) {
			c.report.RoleARN = cfg.Source.RoleARN
		}
		c.run(ctx, store.of(r).provider)
		reports = append(reports, c.report)
	}
	return reports, nil
}

// routeCheck is a running check of one route.
type routeCheck struct {
	cfg         *resolved
	route       *route
	sourceClock *clock // of STS or the credentials server
	cosClock    *clock
	report      report
}

func (c *routeCheck) run(ctx context.Context, provider proxy.Credentials) {
	creds, err := provider.Credentials(ctx)
	c.report.ClockOffset = c.sourceClock.seconds()
	if err != nil {
		c.report.fault, c.report.RequestID = c.credentialsFault(err)
		return
	}
	c.report.SecretID = creds.SecretID
	if !creds.Expires.IsZero() {
		expires := creds.Expires.UTC()
		c.report.Expires = &expires
	}
	p := probeFor(c.route)
	c.report.Action = p.action
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	resp, err := p.send(ctx, c.client(creds), p.key)
	if resp != nil {
		c.report.Status, c.report.RequestID = resp.StatusCode, resp.Header.Get("X-Cos-Request-Id")
	}
	if offset := c.cosClock.seconds(); offset != nil {
		c.report.ClockOffset = offset
	}
	if err != nil {
		c.report.fault = c.requestFault(p, err)
	}
	if c.report.fault == (fault{}) {
		c.report.OK, c.report.Note = true, c.note(p)
	}
}

// client returns a client of the official SDK with the credentials and the transport of
// cosproxy. It does not retry, so that the check shows failures.
func (c *routeCheck) client(creds signer.Credentials) *cos.Client {
	client := cos.NewClient(&cos.BaseURL{BucketURL: c.route.endpoint}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: creds.SecretID, SecretKey: creds.SecretKey, SessionToken: creds.Token, Transport: c.cosClock,
	}})
	client.DisableURLCheck() // accepts custom domains and loopback
	client.Conf.RetryOpt.Count = 1
	return client
}

// note returns the limitations of a successful check.
func (c *routeCheck) note(p probe) string {
	var notes []string
	if p.note != "" && c.report.Status >= http.StatusBadRequest {
		notes = append(notes, p.note)
	}
	if offset := c.report.ClockOffset; offset != nil && (*offset > noticeableOffset || *offset < -noticeableOffset) {
		notes = append(notes, clockText(*offset)+"; STS rejects requests at 5 min, COS at 15 min")
	}
	return strings.Join(notes, "; ")
}

// text returns the report as text.
func (r report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "route %s (%s in %s, credentials from %s): ", r.Route, r.Bucket, r.Region, withSecondRole(r.Source, r.RoleARN))
	if r.OK {
		fmt.Fprintf(&b, "ok\n  credentials %s", r.SecretID)
		if r.Expires != nil {
			fmt.Fprintf(&b, ", expires %s", r.Expires.Format(time.RFC3339))
		}
		fmt.Fprintf(&b, "\n  %s at %s: status %d\n", r.Action, r.Endpoint, r.Status)
	} else {
		fmt.Fprintf(&b, "FAILED (%s)\n  %s\n  %s\n", r.Code, r.Problem, r.Advice)
	}
	if r.RequestID != "" && !r.OK {
		fmt.Fprintf(&b, "  request id %s\n", r.RequestID)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "  note: %s\n", r.Note)
	}
	return b.String()
}
