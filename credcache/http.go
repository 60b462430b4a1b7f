package credcache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"cosproxy/signer"
)

// HTTPOptions configure NewHTTP. Printing them shows neither Token nor URL, whose query
// may hold a secret.
type HTTPOptions struct {
	// URL of the credentials server, with its path and query. Required. The response
	// holds credentials in the clear, so http is accepted for loopback only. To trust a
	// private certificate, set Transport.
	URL string
	// Token is sent as "Authorization: Bearer …". Empty: TokenFile is used.
	Token string
	// TokenFile is the path of a file with the bearer token. Each fetch reads it again.
	// Surrounding white space is removed. Empty: no token.
	TokenFile string
	// Transport is as in STSOptions.
	Transport http.RoundTripper
}

// Format makes every fmt verb omit the fields, which may be secret.
func (o HTTPOptions) Format(f fmt.State, _ rune) { fmt.Fprint(f, "credentials server options") }

// NewHTTP returns a Source that gets credentials from an HTTP server, in the JSON form
// of the STS SDK's demos. Many processes can share one issuer this way, and only the
// issuer holds the long-lived key pair:
//
//	GET /sts?action=name/cos:GetObject&action=…&bucket=examplebucket-1250000000&prefix=a/*&prefix=…&region=ap-beijing
//	{"credentials":{"tmpSecretId":"…","tmpSecretKey":"…","sessionToken":"…"},"expiredTime":1700001800}
//
// The parameters describe the scope in the words of the SDK, sorted by name: bucket and
// region once, prefix and action repeated, with presets expanded. The server must issue
// credentials that grant no more than this scope, and reject scopes that the client may
// not use. A server that ignores the parameters works too; its credentials then decide
// what is allowed.
//
// Credentials without token or expiry are rejected. HTTP 408, 429 and 5xx are retryable;
// other statuses are permanent. If such a response has the JSON form of cosproxy's issuer,
// {"error":{"code":"…","message":"…"}}, the error repeats it, without words that may be a
// secret. Errors are as those of NewSTS.
func NewHTTP(opts HTTPOptions) (Source, error) {
	if opts.Transport == nil {
		opts.Transport = newTransport(dialTimeout)
	}
	u, err := parseServerURL(opts.URL)
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
		source: "http", name: "a credentials server", host: u.Host, next: opts.Transport, explainStatus: explainServerStatus,
		hint: "check the URL of the credentials server and any HTTP proxy in front of it",
	}}
	return SourceFunc(s.fetch), nil
}

// parseServerURL never quotes the value: user information and query may hold a secret.
func parseServerURL(text string) (*url.URL, error) {
	invalid := func(problem string) (*url.URL, error) { return nil, &OptionError{Field: "URL", Problem: problem} }
	u, err := url.Parse(text)
	switch {
	case text == "":
		return invalid("missing; write it like https://credentials.example.com/sts")
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http"):
		return invalid("not an http or https URL without user information and fragment; write it like https://credentials.example.com/sts")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return invalid("plain http to another machine would expose the credentials on the network; write https")
	}
	for _, name := range []string{"action", "bucket", "prefix", "region"} {
		if u.Query().Has(name) {
			return invalid("has the parameter " + name + ", which the scope sets; remove it")
		}
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// explainServerStatus is the explainStatus of the service.
func explainServerStatus(status int) (message, hint string) {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "the credentials server rejected the request", "check the bearer token, and that the server allows this scope"
	case status >= 300 && status < 400:
		return "the credentials server redirects, and redirects are not followed", "write the final URL"
	case status == http.StatusTooManyRequests || status >= 500:
		return "the credentials server has no credentials now", "see the log of the credentials server"
	}
	return "the credentials server returned no credentials", "check the URL, and see the log of the credentials server"
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
			return signer.Credentials{}, readError(s.source, err)
		}
	}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	scope = scope.canonical()
	c := &call{
		service: &s.service, ctx: ctx, secrets: []string{token},
		known: slices.Concat([]string{scope.Bucket}, scope.AllowPrefixes, scope.AllowActions),
	}
	body, err := c.get(s.requestURL(scope), header)
	if err != nil {
		return signer.Credentials{}, c.failure(err)
	}
	creds, err := parseCredentials(body)
	if err != nil {
		return signer.Credentials{}, c.failure(err)
	}
	return c.validated(creds, "")
}

// requestURL returns the URL of the server with the parameters of a canonical scope.
func (s *httpSource) requestURL(scope Scope) string {
	u, query := *s.url, s.url.Query()
	query.Set("bucket", scope.Bucket)
	query.Set("region", scope.Region)
	query["prefix"], query["action"] = scope.AllowPrefixes, scope.AllowActions
	u.RawQuery = query.Encode()
	return u.String()
}
