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
  cosproxy explain METHOD URL [-H 'Name: value']... < answer.xml

URL is what an application asks cosproxy for, such as
http://127.0.0.1:4360/uploads/a.txt, or one of a bucket in COS. A body is told by
-H 'Content-Length: 13' or -H 'Transfer-Encoding: chunked'.

On standard input it takes COS's answer to the same request, if that was
SignatureDoesNotMatch, and says what COS has read differently.

The key is the one in the settings; without one there, and for keys that would
have to be fetched, the example key of the COS documentation. No secret is shown.

Exit codes: 0 nothing wrong was found, 1 a difference was, or cosproxy itself
would refuse the request, 2 arguments, settings or answer cannot be used.
`

// exampleKey is the pair of the examples in the COS documentation ("Request
// signature", 436/7778). It opens nothing.
var exampleKey = signer.Credentials{
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
		fmt.Fprintf(std.err, "cosproxy explain: %v\nRun cosproxy explain --help to see what it takes.\n", err)
		return exitUsage
	}
	return code
}

// explain returns an error for what the caller has to write differently.
func explain(ctx context.Context, args, environ []string, std streams, now time.Time) (int, error) {
	r, err := parseRequest(args)
	if err != nil {
		return 0, err
	}
	m, err := readMismatch(ctx, std.in)
	if err != nil {
		return 0, err
	}
	// Problems of other settings are left to cosproxy check.
	cfg, _ := loadConfig(environ)
	routes, err := cfg.explainRoutes(r)
	if err != nil {
		return 0, err
	}
	creds, which, signed := cfg.explainSigning(m, now)
	o, err := dryRun(r, proxy.Options{Routes: routes, AllowedHosts: cfg.AllowedHosts, AllowedOrigins: cfg.AllowedOrigins, SettingName: cfg.settingName}, creds, signed)
	if err != nil {
		return 0, err
	}
	if o.refusal != "" {
		fmt.Fprintf(std.out, "cosproxy itself would refuse this request, and COS would not see it:\n  %d %s\n", o.Status, o.refusal)
		return exitFailure, nil
	}
	e, err := signer.Explain(o.sent, creds, signed)
	if err != nil {
		return 0, err
	}
	o.describe(std.out, r)
	fmt.Fprintf(std.out, "Key:               %s, %s\n%s", e.SecretID, which, e)
	if m == nil {
		return exitOK, nil
	}
	return m.compare(std.out, e, now), nil
}

// parseRequest reads METHOD URL [-H 'Name: value']... into what a server would
// receive. It returns flag.ErrHelp where help is asked for. No error repeats a
// value, since that may be a secret.
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
		return nil, errors.New("the URL cannot be read: write http://host/key with a percent-encoded key, in which a literal % is %25")
	case err != nil:
		return nil, errors.New("the method cannot be one: write for example GET or PUT")
	case r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "":
		return nil, errors.New("the URL has to begin with http:// or https:// and a host")
	case r.URL.User != nil:
		return nil, errors.New("the URL has a user in it, which neither cosproxy nor COS takes")
	}
	if r.URL.Path == "" {
		r.URL.Path = "/" // as clients send it
	}
	r.Header = header
	return r, takeFraming(r)
}

// parseWords separates flags, which may stand anywhere, from the other arguments.
func parseWords(args []string) (words []string, header http.Header, err error) {
	header = make(http.Header)
	var invalid error // flag.Parse would repeat the value
	flags := newFlags("explain")
	flags.Func("H", "", func(field string) error {
		name, value, ok := strings.Cut(field, ":")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			invalid = errors.New("a -H has no name and colon, or a blank in the name: write -H 'Name: value'")
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
			return nil, nil, errors.New("-H has nothing behind it: write -H 'Name: value'")
		case err != nil:
			return nil, nil, errExplainArguments
		}
		if rest = flags.Args(); len(rest) > 0 {
			words, rest = append(words, rest[0]), rest[1:]
		}
	}
	return words, header, nil
}

var errExplainArguments = errors.New("it takes one method and one URL, and any number of -H 'Name: value'")

// takeFraming moves from the header what net/http keeps in fields.
func takeFraming(r *http.Request) error {
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	if length := r.Header.Get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < 0 {
			return errors.New("the Content-Length in -H is not a number of bytes")
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

// explainRoutes are the routes that r can take: those of the settings, or for a
// host that is not cosproxy's own, one that leads straight there.
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
			return nil, fmt.Errorf("the settings cannot be used: %w", err)
		}
		endpoint, err := route.URL()
		if err != nil {
			return nil, fmt.Errorf("the settings cannot be used: %w", err)
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
		return nil, fmt.Errorf("%s is an address of cosproxy, and the settings do not say which bucket it leads to: set %s and %s, or write the URL of the bucket",
			r.URL.Host, variable("Bucket"), variable("Region"))
	}
	return routes, nil
}

// noRoute is called what leads straight to a bucket that is in no settings.
const noRoute = "none"

func containsHost(hosts []string, name string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// explainRoute is the route of r. Where AllowPrefixes or AllowActions are not set yet, it
// does not judge them.
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

// explainSigning returns the credentials to explain with, which ones they are, and
// when they sign. With a mismatch they are those of its request as far as it shows
// them.
func (c *resolved) explainSigning(m *mismatch, now time.Time) (creds signer.Credentials, which string, signed time.Time) {
	creds, which = c.explainKey()
	if m == nil {
		return creds, which, now
	}
	hadToken := creds.Token != ""
	if creds, signed = m.signingInputs(creds, now); !hadToken && creds.Token != "" {
		which += "; the session token is that of COS's answer"
		if m.unknownToken {
			which += ", where it is masked"
		}
	}
	return creds, which, signed
}

// explainKey is the key of the settings if it signs as it is, else exampleKey.
func (c *resolved) explainKey() (creds signer.Credentials, which string) {
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
			"that of the settings"
	case fetched:
		return exampleKey, "the example of the COS documentation; cosproxy fetches its own, and sends x-cos-security-token too"
	}
	return exampleKey, "the example of the COS documentation, since the settings have none"
}
