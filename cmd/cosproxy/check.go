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

const checkUsage = `cosproxy check fetches a key for each route, tries it on COS with a request that
changes nothing, and says what is wrong.

Usage:
  cosproxy check [--json]

  --json   print what was found as JSON

Exit codes: 0 every route works, 1 something is wrong, 2 wrong arguments.
`

// checkTimeout limits the request to COS. Fetching a key has a limit of its own.
const checkTimeout = 15 * time.Second

// report is what a check of one route found, and its form in JSON: names and
// codes stay as they are, new ones may come.
type report struct {
	Route    string `json:"route"`
	Bucket   string `json:"bucket"`
	Region   string `json:"region"`
	Endpoint string `json:"endpoint"`
	Source   string `json:"source"`
	OK       bool   `json:"ok"`

	SecretID  string     `json:"secret_id,omitempty"`          // of the credentials; not a secret
	Expires   *time.Time `json:"credentials_expiry,omitempty"` // absent without credentials or an expiry
	Action    string     `json:"action,omitempty"`             // the COS action that was tried
	Status    int        `json:"status,omitempty"`             // of the response
	RequestID string     `json:"request_id,omitempty"`         // of COS or STS
	// ClockOffset is how many seconds this machine is ahead of the last server
	// that told its time; absent if none did.
	ClockOffset *int `json:"clock_offset_seconds,omitempty"`

	fault
	Note string `json:"note,omitempty"` // with OK
}

// runCheck fetches a key for each route and tries it on COS with a request that
// changes nothing.
func runCheck(ctx context.Context, args, environ []string, std streams) int {
	flags := newFlags("check")
	asJSON := flags.Bool("json", false, "")
	if code, ends := parseFlags(flags, args, checkUsage, std); ends {
		return code
	}
	cfg, err := loadConfig(environ)
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
	reports, err := checkRoutes(ctx, cfg)
	if err != nil {
		fmt.Fprintln(std.err, "cosproxy:", err)
		return exitFailure
	}
	all := result{OK: true, Routes: reports, Warnings: cfg.warnings}
	for _, r := range reports {
		all.OK = all.OK && r.OK
	}
	if *asJSON {
		return all.write(std)
	}
	for _, r := range reports {
		fmt.Fprint(std.out, r.text())
	}
	return all.code()
}

// result is what a check found, and its form in JSON.
type result struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"` // in the settings; then there are no routes
	Warnings []string `json:"warnings,omitempty"` // what is allowed and should be seen
	Routes   []report `json:"routes"`
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

func checkRoutes(ctx context.Context, cfg *resolved) ([]report, error) {
	t := newTransports(cfg)
	defer t.close()
	keysClock := &clock{next: t.toKeys}
	t.toKeys = keysClock
	keys, err := newKeyring(cfg, t, credcache.Options{})
	if err != nil {
		return nil, err
	}
	defer keys.close()
	var reports []report
	for _, r := range cfg.routes {
		c := &routeCheck{
			cfg: cfg, route: r, keysClock: keysClock, cosClock: &clock{next: t.toCOS},
			report: report{Route: r.name, Bucket: r.Bucket, Region: r.Region, Endpoint: r.endpoint.String(), Source: r.Source},
		}
		c.run(ctx, keys.of(r).provider)
		reports = append(reports, c.report)
	}
	return reports, nil
}

// routeCheck is the check of one route while it runs.
type routeCheck struct {
	cfg       *resolved
	route     *route
	keysClock *clock // of STS or the key server
	cosClock  *clock
	report    report
}

func (c *routeCheck) run(ctx context.Context, provider proxy.Credentials) {
	key, err := provider.Credentials(ctx)
	c.report.ClockOffset = c.keysClock.seconds()
	if err != nil {
		c.report.fault, c.report.RequestID = c.keyFault(err)
		return
	}
	c.report.SecretID = key.SecretID
	if !key.Expires.IsZero() {
		expires := key.Expires.UTC()
		c.report.Expires = &expires
	}
	p := probeFor(c.route)
	c.report.Action = p.action
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	resp, err := p.send(ctx, c.client(key), p.key)
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

// client is the official SDK with the key and with the ways of cosproxy. It
// tries once: a check should show what fails.
func (c *routeCheck) client(key signer.Credentials) *cos.Client {
	client := cos.NewClient(&cos.BaseURL{BucketURL: c.route.endpoint}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: key.SecretID, SecretKey: key.SecretKey, SessionToken: key.Token, Transport: c.cosClock,
	}})
	client.DisableURLCheck() // custom domains and loopback are allowed here
	client.Conf.RetryOpt.Count = 1
	return client
}

// note says what a check that succeeded leaves open.
func (c *routeCheck) note(p probe) string {
	var notes []string
	if p.note != "" && c.report.Status >= http.StatusBadRequest {
		notes = append(notes, p.note)
	}
	if offset := c.report.ClockOffset; offset != nil && (*offset > noticeableOffset || *offset < -noticeableOffset) {
		notes = append(notes, clockText(*offset)+"; STS refuses at 5 min, COS at 15 min")
	}
	return strings.Join(notes, "; ")
}

// text is the report for people.
func (r report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "route %s (%s in %s, keys from %s): ", r.Route, r.Bucket, r.Region, r.Source)
	if r.OK {
		fmt.Fprintf(&b, "ok\n  key %s", r.SecretID)
		if r.Expires != nil {
			fmt.Fprintf(&b, ", expires %s", r.Expires.Format(time.RFC3339))
		}
		fmt.Fprintf(&b, "\n  %s at %s answered %d\n", r.Action, r.Endpoint, r.Status)
	} else {
		fmt.Fprintf(&b, "wrong (%s)\n  %s\n  %s\n", r.Code, r.Problem, r.Advice)
	}
	if r.RequestID != "" && !r.OK {
		fmt.Fprintf(&b, "  request id %s\n", r.RequestID)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "  note: %s\n", r.Note)
	}
	return b.String()
}
