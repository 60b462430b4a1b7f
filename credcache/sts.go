package credcache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/signer"
)

const (
	stsEndpoint = "https://sts.tencentcloudapi.com"
	stsDuration = 30 * time.Minute

	// stsMaxDuration is the limit for sub-accounts; for a root account it is
	// 7200 s (GetFederationToken, 1150/49452). STS judges which one applies.
	stsMaxDuration = 129600 * time.Second
)

// STSOptions configure NewSTS. Printing them shows no secret.
type STSOptions struct {
	// SecretID and SecretKey are the long-lived pair that asks for temporary
	// keys. Required; STS takes no temporary key here.
	SecretID, SecretKey string
	// Endpoint is the URL of STS: scheme and host, perhaps a port. Answers hold
	// keys in the clear, so http is for loopback and tests. Empty:
	// https://sts.tencentcloudapi.com.
	Endpoint string
	// Duration is the life to ask for, in whole seconds, 1 s to 129600 s (36 h).
	// Zero: 30 min.
	Duration time.Duration
	// Transport sends the requests. Nil: one that keeps no connection open, as
	// the next call is many minutes away, and takes the system's proxy settings.
	Transport http.RoundTripper
}

// Format makes every fmt verb leave out the SecretKey.
func (o STSOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "STS %s for %s", o.Endpoint, o.SecretID)
}

// NewSTS returns a Source that calls GetFederationToken of Tencent Cloud STS,
// through its SDK, with the policy of the scope. Errors of Fetch are
// *SourceErrors. The error of NewSTS joins an *OptionError for each mistake.
func NewSTS(opts STSOptions) (Source, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = stsEndpoint
	}
	if opts.Duration == 0 {
		opts.Duration = stsDuration
	}
	if opts.Transport == nil {
		opts.Transport = stsTransport()
	}
	endpoint, endpointErr := parseEndpoint(opts.Endpoint)
	err := errors.Join(
		checkSecret("SecretID", opts.SecretID), checkSecret("SecretKey", opts.SecretKey),
		endpointErr, checkDuration(opts.Duration))
	if err != nil {
		return nil, err
	}
	s := &stsSource{opts: opts, scheme: endpoint.Scheme, host: endpoint.Host}
	return SourceFunc(s.fetch), nil
}

func stsTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		DisableKeepAlives:     true,
		ForceAttemptHTTP2:     true,
	}
}

func checkSecret(field, value string) error {
	switch {
	case value == "":
		return &OptionError{Field: field, Problem: "missing; give the long-lived pair from the CAM console"}
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return &OptionError{Field: field, Problem: "has a blank, a line break or a control character; give it exactly as the CAM console shows it"}
	}
	return nil
}

// parseEndpoint is strict because the SDK takes only scheme and host, and signs
// the host as written: what it would drop has to be an error.
func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || (u.Scheme != "https" && u.Scheme != "http"):
	case u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || strings.Contains(endpoint, "#"):
	default:
		return u, nil
	}
	// The value is not shown: user information may hold a password.
	return nil, &OptionError{Field: "Endpoint", Problem: "not a URL of scheme and host alone; write it like " + stsEndpoint}
}

func checkDuration(d time.Duration) error {
	if d < time.Second || d > stsMaxDuration || d%time.Second != 0 {
		return &OptionError{Field: "Duration", Problem: fmt.Sprintf("%v is not a life that STS grants; write whole seconds from 1s to 36h, such as 30m", d)}
	}
	return nil
}

type stsSource struct {
	opts         STSOptions
	scheme, host string
}

func (s *stsSource) fetch(ctx context.Context, scope Scope) (signer.Credentials, error) {
	policy, err := scope.Policy()
	if err != nil {
		return signer.Credentials{}, &SourceError{Source: "sts", Code: "InvalidScope", Message: oneLine(err.Error()), Err: err}
	}
	// A client for each call, because the SDK takes no context.
	hc := &http.Client{Transport: &stsCall{ctx: ctx, next: s.opts.Transport}}
	client := sts.NewClient(s.opts.SecretID, s.opts.SecretKey, hc, sts.Scheme(s.scheme), sts.Host(s.host))
	result, err := client.GetCredential(&sts.CredentialOptions{
		Policy:          policy,
		Region:          scope.Region,
		DurationSeconds: int64(s.opts.Duration / time.Second),
	})
	if err != nil {
		return signer.Credentials{}, s.failure(ctx, err)
	}
	creds := signer.Credentials{
		SecretID:  result.Credentials.TmpSecretID,
		SecretKey: result.Credentials.TmpSecretKey,
		Token:     result.Credentials.SessionToken,
		Expires:   time.Unix(int64(result.ExpiredTime), 0),
	}
	if creds.SecretID == "" || creds.SecretKey == "" || creds.Token == "" || result.ExpiredTime <= 0 {
		return signer.Credentials{}, s.error(&SourceError{
			Message: "the answer lacks TmpSecretId, TmpSecretKey, Token or ExpiredTime", RequestID: result.RequestId,
			Retryable: true, Err: ErrBadAnswer,
		})
	}
	return creds, nil
}
