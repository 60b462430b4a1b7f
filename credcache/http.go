package credcache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"cosproxy/signer"
)

// HTTPOptions configure NewHTTP. Printing them shows neither Token nor
// URL, whose query may hold a secret.
type HTTPOptions struct {
	// URL of the key server, with path and query as it wants them. Required. An
	// answer is a key in the clear, so http is only taken to loopback; a
	// certificate of one's own goes into Transport.
	URL string
	// Token is sent as "Authorization: Bearer …". Empty: TokenFile counts.
	Token string
	// TokenFile holds the bearer token instead, read anew at each fetch; blanks
	// and line breaks around it do not count. Empty: no token.
	TokenFile string
	// Transport is as in STSOptions.
	Transport http.RoundTripper
}

// Format makes every fmt verb leave out what may be secret.
func (o HTTPOptions) Format(f fmt.State, _ rune) { fmt.Fprint(f, "key server options") }

// NewHTTP returns a Source that takes keys from an HTTP server in the JSON
// shape of the STS SDK's demos, so that many processes share one issuer, and the
// long-lived key stays there:
//
//	GET /sts?action=name/cos:GetObject&action=…&bucket=examplebucket-1250000000&prefix=a/*&prefix=…&region=ap-beijing
//	{"credentials":{"tmpSecretId":"…","tmpSecretKey":"…","sessionToken":"…"},"expiredTime":1700001800}
//
// The parameters, in order of their names, are the scope, in the words that the
// SDK uses for one: bucket and region once, prefix and action as often as there
// are, with presets expanded. It is up to the server to issue a key that can do
// no more, and to refuse a scope that is not for whoever asks. One that ignores
// the parameters works as well; its keys are as wide as it makes them.
//
// A key without token or expiry is refused. Status 401, 403 and other refusals
// are permanent; 408, 429 and 5xx are retryable. Errors are as those of NewSTS.
func NewHTTP(opts HTTPOptions) (Source, error) {
	if opts.Transport == nil {
		opts.Transport = newTransport(dialTimeout)
	}
	u, err := parseKeyServer(opts.URL)
	if opts.Token != "" {
		err = errors.Join(err, checkSecret("Token", opts.Token))
	}
	if opts.Token != "" && opts.TokenFile != "" {
		err = errors.Join(err, &OptionError{Field: "TokenFile", Problem: "given as well as Token; keep one of the two"})
	}
	if err != nil {
		return nil, err
	}
	s := &httpSource{url: u, token: opts.Token, tokenFile: opts.TokenFile, service: service{
		source: "http", what: "a key server", host: u.Host, next: opts.Transport, refused: keyServerRefused,
		check: "check the URL of the key server and any HTTP proxy before it",
	}}
	return SourceFunc(s.fetch), nil
}

// parseKeyServer never shows the value: user information and query may hold a
// secret.
func parseKeyServer(text string) (*url.URL, error) {
	bad := func(problem string) (*url.URL, error) { return nil, &OptionError{Field: "URL", Problem: problem} }
	u, err := url.Parse(text)
	switch {
	case text == "":
		return bad("missing; write it like https://keys.example.com/sts")
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http"):
		return bad("not an http or https URL without user information and fragment; write it like https://keys.example.com/sts")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return bad("plain http to another machine, so whoever can listen on the way reads the keys; write https")
	}
	for _, name := range []string{"action", "bucket", "prefix", "region"} {
		if u.Query().Has(name) {
			return bad("has the parameter " + name + " already, which the scope fills in; leave it out")
		}
	}
	return u, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func keyServerRefused(status int) (message, hint string) {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "the key server refused", "check the bearer token, and whether the server allows this scope"
	case status >= 300 && status < 400:
		return "the key server sends elsewhere, and a key is not asked for there", "write the final URL"
	case status == http.StatusTooManyRequests || status >= 500:
		return "the key server has no key now", "see the log of the key server"
	}
	return "the key server does not answer with a key", "check the URL, and see the log of the key server"
}

type httpSource struct {
	service
	url              *url.URL
	token, tokenFile string
}

func (s *httpSource) fetch(ctx context.Context, scope Scope) (signer.Credentials, error) {
	token := s.token
	header := http.Header{"Accept": {"application/json"}}
	if s.tokenFile != "" {
		var err error
		if token, err = readText(ctx, "TokenFile", s.tokenFile); err != nil {
			return signer.Credentials{}, unreadable(s.source, err)
		}
	}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	c := &call{service: &s.service, ctx: ctx, secret: token}
	body, err := c.get(s.ask(scope), header)
	if err != nil {
		return signer.Credentials{}, c.failure(err)
	}
	creds, err := parseKey(body)
	if err != nil {
		return signer.Credentials{}, c.failure(err)
	}
	return c.checked(creds, "")
}

// ask is the URL that asks for a key of scope.
func (s *httpSource) ask(scope Scope) string {
	scope = scope.canonical()
	u, query := *s.url, s.url.Query()
	query.Set("bucket", scope.Bucket)
	query.Set("region", scope.Region)
	query["prefix"], query["action"] = scope.AllowPrefixes, scope.AllowActions
	u.RawQuery = query.Encode()
	return u.String()
}
