package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cosproxy/credcache"
	"cosproxy/proxy"
	"cosproxy/signer"
)

const explainUsage = `cosproxy explain shows how a request is signed, without sending it.

Usage:
  cosproxy explain METHOD URL [-H 'Name: value']...
  cosproxy explain METHOD URL [-H 'Name: value']... < response.xml

URL is a URL of cosproxy, such as http://127.0.0.1:4360/uploads/a.txt, or of a
bucket in COS. For a request with a body, add -H 'Content-Length: 13' or
-H 'Transfer-Encoding: chunked'.

If COS rejected the same request with SignatureDoesNotMatch, pass the response on
standard input. explain then shows the first difference between the request that
COS received and the one described here.

Only signatures of COS are explained, not those of S3 requests.

The request is signed with the credentials in the settings, or with the example
credentials of the COS documentation if there are none or cosproxy would fetch
them. No secret is shown.

Exit codes: 0 no difference, 1 a difference, or cosproxy itself would reject the
request, 2 invalid arguments, settings or response.
`

// exampleCredentials is the key pair of the examples in the COS documentation ("Request
// signature", 436/7778). It is not valid.
var exampleCredentials = signer.Credentials{
	SecretID:  "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q",
	SecretKey: "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
}

func runExplain(ctx context.Context, args, environ []string, std streams) int {
	code, err := explain(ctx, args, environ, std, time.Now())
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.out, explainUsage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(std.err, "cosproxy explain: %v\nRun cosproxy explain --help for usage.\n", err)
		return exitUsage
	}
	return code
}

// explain returns an error if arguments, settings or standard input are invalid.
func explain(ctx context.Context, args, environ []string, std streams, now time.Time) (int, error) {
	r, err := parseRequest(args)
	if err != nil {
		return 0, err
	}
	m, err := readMismatch(ctx, std.in)
	if err != nil {
		return 0, err
	}
	// Settings that do not matter here may be invalid.
	cfg, _ := loadConfig(environ)
	routes, err := cfg.explainRoutes(r)
	if err != nil {
		return 0, err
	}
	creds, origin, signed := cfg.explainSigning(m, now)
	o, err := dryRun(r, proxy.Options{Routes: routes, AllowedHosts: cfg.AllowedHosts, AllowedOrigins: cfg.AllowedOrigins, SettingName: cfg.settingName}, creds, signed)
	if err != nil {
		return 0, err
	}
	if o.rejection != "" {
		fmt.Fprintf(std.out, "cosproxy itself would reject this request, without sending it to COS:\n  %d %s\n", o.Status, o.rejection)
		return exitFailure, nil
	}
	if signer.SchemeOf([]byte(o.sent.Header.Get("Authorization")), "").IsS3() {
		return 0, errExplainS3
	}
	e, err := signer.Explain(o.sent, creds, signed)
	if err != nil {
		return 0, err
	}
	o.describe(std.out, r)
	fmt.Fprintf(std.out, "Credentials:       %s, %s\n%s", e.SecretID, origin, e)
	if m == nil {
		return exitOK, nil
	}
	return m.compare(std.out, e, now), nil
}

// parseRequest returns the request that a server would receive for the arguments
// METHOD URL [-H 'Name: value']... . It returns flag.ErrHelp for --help. No error contains
// a value, since that may be a secret.
func parseRequest(args []string) (*http.Request, error) {
	words, header, err := parseWords(args)
	if err != nil {
		return nil, err
	}
	if len(words) != 2 || strings.HasPrefix(words[0], "-") || strings.HasPrefix(words[1], "-") {
		return nil, errExplainArguments
	}
	r, err := http.NewRequest(words[0], words[1], http.NoBody)
	var inURL *url.Error
	switch {
	case errors.As(err, &inURL): // it quotes the URL
		return nil, errors.New("the URL is invalid; use http://host/key with a percent-encoded object key, in which a literal % is %25")
	case err != nil:
		return nil, errors.New("the method is invalid; use for example GET or PUT")
	case r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "":
		return nil, errors.New("the URL must start with http:// or https:// and a host")
	case r.URL.User != nil:
		return nil, errors.New("the URL contains a user, which neither cosproxy nor COS accepts; remove it")
	}
	if r.URL.Path == "" {
		r.URL.Path = "/" // as clients send it
	}
	r.Header = header
	return r, takeFraming(r)
}

// parseWords separates flags, at any position, from the other arguments.
func parseWords(args []string) (words []string, header http.Header, err error) {
	header = make(http.Header)
	var invalid error // the error of flag.Parse would contain the value
	flags := newFlags("explain")
	flags.Func("H", "", func(field string) error {
		name, value, ok := strings.Cut(field, ":")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			invalid = errors.New("a -H lacks a name or colon, or has a space in the name; use -H 'Name: value'")
			return invalid
		}
		header.Add(name, strings.TrimSpace(value))
		return nil
	})
	for rest := args; len(rest) > 0; {
		switch err := flags.Parse(rest); {
		case errors.Is(err, flag.ErrHelp), invalid != nil:
			return nil, nil, cmp.Or(invalid, err)
		case err != nil && strings.TrimLeft(args[len(args)-1], "-") == "H":
			return nil, nil, errors.New("-H lacks a value; use -H 'Name: value'")
		case err != nil:
			return nil, nil, errExplainArguments
		}
		if rest = flags.Args(); len(rest) > 0 {
			words, rest = append(words, rest[0]), rest[1:]
		}
	}
	return words, header, nil
}

var errExplainS3 = errors.New("this is an S3 request, which cosproxy sends with an AWS signature; explain only knows signatures of COS. Omit the AWS signature from -H Authorization and from the URL, or unset " +
	variable("Dialect") + "=s3")

var errExplainArguments = errors.New("expected one method, one URL and any number of -H 'Name: value'")

// takeFraming moves the headers for which http.Request has fields.
func takeFraming(r *http.Request) error {
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	if length := r.Header.Get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < 0 {
			return errors.New("the Content-Length in -H is not a number of bytes; use for example -H 'Content-Length: 13'")
		}
		r.ContentLength = n
	}
	if r.Header.Get("Transfer-Encoding") != "" {
		r.ContentLength = -1
	}
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding"} {
		r.Header.Del(name)
	}
	return nil
}

// explainRoutes returns the routes for r: those of the settings, or a route to the host
// of the URL if that is not a host of cosproxy.
func (c *resolved) explainRoutes(r *http.Request) ([]proxy.Route, error) {
	name := r.URL.Hostname()
	own := isLocalHost(name) || containsHost(c.AllowedHosts, name)
	var routes []proxy.Route
	for _, rc := range c.routes {
		if rc.Bucket == "" || rc.Region == "" {
			continue
		}
		route, err := rc.explainRoute(c.Endpoint)
		if err != nil {
			return nil, fmt.Errorf("invalid settings: %w", err)
		}
		endpoint, err := route.URL()
		if err != nil {
			return nil, fmt.Errorf("invalid settings: %w", err)
		}
		routes = append(routes, route)
		own = own || containsHost(rc.Hosts, name) || strings.EqualFold(endpoint.Hostname(), name) || containsHost(route.COSHosts(), name)
	}
	switch {
	case !own:
		return []proxy.Route{{
			Name: noRoute, Bucket: name, Region: "unknown", Endpoint: r.URL.Scheme + "://" + r.URL.Host,
			AllowPrefixes: []string{"*"}, AllowActions: []string{"*"},
		}}, nil
	case len(routes) == 0:
		return nil, fmt.Errorf("%s is an address of cosproxy, but no bucket is configured; set %s and %s, or use the URL of the bucket",
			r.URL.Host, variable("Bucket"), variable("Region"))
	}
	return routes, nil
}

// noRoute is the name of a route to a bucket that is not in the settings.
const noRoute = "none"

func containsHost(hosts []string, name string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// explainRoute returns r as a route of package proxy. If AllowPrefixes or AllowActions are
// not set, it allows all.
func (r *route) explainRoute(endpoint string) (proxy.Route, error) {
	_, err := credcache.ExpandActions(r.AllowActions)
	route := r.proxyRoute(endpoint)
	if len(r.AllowPrefixes) == 0 {
		route.AllowPrefixes = []string{"*"}
	}
	if len(r.AllowActions) == 0 {
		route.AllowActions = []string{"*"}
	}
	return route, err
}

// explainSigning returns the credentials to sign with, a description of their origin, and
// the time of the signature. With a mismatch, credentials and time are those of its
// request as far as it contains them.
func (c *resolved) explainSigning(m *mismatch, now time.Time) (creds signer.Credentials, origin string, signed time.Time) {
	creds, origin = c.explainCredentials()
	if m == nil {
		return creds, origin, now
	}
	hadToken := creds.Token != ""
	if creds, signed = m.signingInputs(creds, now); !hadToken && creds.Token != "" {
		origin += "; the session token is from the response"
		if m.unknownToken {
			origin += ", in which it is masked"
		}
	}
	return creds, origin, signed
}

// explainCredentials returns the credentials of the source static if a route uses it, else
// exampleCredentials.
func (c *resolved) explainCredentials() (creds signer.Credentials, origin string) {
	s := c.Source
	static, fetched := false, false
	for _, r := range c.routes {
		_, known := sourceKinds[r.Source]
		static = static || r.Source == "static"
		fetched = fetched || known && r.Source != "static"
	}
	switch {
	case static && s.SecretID != "" && s.SecretKey != "":
		return signer.Credentials{SecretID: s.SecretID, SecretKey: string(s.SecretKey), Token: string(s.Token)},
			"from the settings"
	case fetched:
		return exampleCredentials, "the example of the COS documentation; cosproxy fetches its own credentials, and also sends x-cos-security-token"
	}
	return exampleCredentials, "the example of the COS documentation, since the settings contain no credentials"
}
