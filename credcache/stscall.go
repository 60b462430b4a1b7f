package credcache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/signer"
)

const (
	stsEndpoint = "https://sts.tencentcloudapi.com"
	stsDuration = 30 * time.Minute
	sessionName = "cosproxy"

	// stsMaxDuration is the limit for sub-accounts. For a root account it is 7200 s
	// (GetFederationToken, 1150/49452). STS decides which one applies.
	stsMaxDuration = 129600 * time.Second
	// roleMaxDuration is the limit of AssumeRole and AssumeRoleWithWebIdentity (API
	// definition of STS, 2018-08-13).
	roleMaxDuration = 43200 * time.Second
)

var (
	// From the API definition of STS: RoleSessionName, and the two forms of RoleArn.
	sessionForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,128}$`) })
	roleForm    = regexp.MustCompile(`^qcs::cam::uin/[0-9]+:role(Name)?/[^\s/]+$`)
)

// stsSource is the common part of the sources that call STS.
type stsSource struct {
	service
	scheme   string
	duration time.Duration
	allow    string // the hint if CAM denies the call
	chained  bool   // temporary credentials authenticate the call
}

// newSTSSource replaces zero values with their defaults. Its error joins *OptionErrors.
func newSTSSource(source, allow, endpoint string, d, maxDuration time.Duration, transport http.RoundTripper) (*stsSource, error) {
	if endpoint == "" {
		endpoint = stsEndpoint
	}
	if d == 0 {
		d = stsDuration
	}
	if transport == nil {
		transport = newTransport(dialTimeout)
	}
	u, err := parseHost(endpoint, stsEndpoint)
	if err = errors.Join(err, checkDuration(d, maxDuration)); err != nil {
		return nil, err
	}
	hint := "check the STS endpoint " + u.Host + " and any HTTP proxy in front of it"
	return &stsSource{scheme: u.Scheme, duration: d, allow: allow, service: service{
		source: source, name: "STS", host: u.Host, hint: hint, next: transport,
		explainStatus: func(int) (string, string) {
			return "STS returns 200 even for errors, so another server sent this response", hint
		},
	}}, nil
}

// seconds returns the requested lifetime.
func (s *stsSource) seconds() int64 { return int64(s.duration / time.Second) }

// policy returns the session policy of scope.
func (s *stsSource) policy(scope Scope) (*sts.CredentialPolicy, error) {
	policy, err := scope.Policy()
	if err != nil {
		return nil, &SourceError{Source: s.source, Code: "InvalidScope", Message: oneLine(err.Error()), Err: err}
	}
	return policy, nil
}

// call calls STS through do, with the pair id and key. secret authenticates the call; it
// is removed from errors. Each call has its own client because the SDK takes no context.
func (s *stsSource) call(ctx context.Context, id, key, secret string, do func(*sts.Client) (*sts.CredentialResult, error)) (signer.Credentials, error) {
	c := &call{service: &s.service, ctx: ctx, secrets: []string{secret}}
	result, err := do(sts.NewClient(id, key, &http.Client{Transport: c}, sts.Scheme(s.scheme), sts.Host(s.host)))
	return s.result(c, result, err)
}

// result returns the credentials of a response, or the error of the call.
func (s *stsSource) result(c *call, result *sts.CredentialResult, err error) (signer.Credentials, error) {
	if err != nil {
		return signer.Credentials{}, s.failure(c, err)
	}
	return c.validated(credentialsResponse{
		secretFields: secretFields{
			TmpSecretID:  result.Credentials.TmpSecretID,
			TmpSecretKey: result.Credentials.TmpSecretKey,
			SessionToken: result.Credentials.SessionToken,
		},
		ExpiredTime: int64(result.ExpiredTime), Expiration: result.Expiration,
	}.credentials(), result.RequestId)
}

// parseHost rejects everything but scheme and host, because the rest would be ignored.
// The STS SDK also signs the host as written.
func parseHost(endpoint, example string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || (u.Scheme != "https" && u.Scheme != "http"):
	case u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || strings.Contains(endpoint, "#"):
	default:
		return u, nil
	}
	// The error does not quote the value: user information may hold a password.
	return nil, &OptionError{Field: "Endpoint", Problem: "not a URL with scheme and host alone; write it like " + example}
}

func checkDuration(d, maxDuration time.Duration) error {
	if d < time.Second || d > maxDuration || d%time.Second != 0 {
		return &OptionError{Field: "Duration", Problem: fmt.Sprintf(
			"%v is not a duration that STS grants; write whole seconds from 1s to %gh, such as 30m", d, maxDuration.Hours())}
	}
	return nil
}

func checkRole(arn, session string) error {
	var role, name error
	if !roleForm.MatchString(arn) {
		role = &OptionError{Field: "RoleARN", Problem: fmt.Sprintf("%q is not a role ARN; copy it from the CAM console: qcs::cam::uin/100000000001:roleName/example", arn)}
	}
	if !sessionForm().MatchString(session) {
		name = &OptionError{Field: "SessionName", Problem: fmt.Sprintf("%q is not a session name; write 2 to 128 letters, digits or any of +=,.@_-", session)}
	}
	return errors.Join(role, name)
}
