package credcache

import (
	"context"
	"errors"
	"net/http"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/signer"
)

// STSOptions configure NewSTS. Printing them shows no secret.
type STSOptions struct {
	// Pair is the long-lived pair that asks for temporary keys. Required; STS
	// takes no temporary key here.
	Pair KeyPair
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

// NewSTS returns a Source that calls GetFederationToken of Tencent Cloud STS,
// through its SDK, with the policy of the scope. Errors of Fetch are
// *SourceErrors. The error of NewSTS joins an *OptionError for each mistake, and
// the error of the Pair.
func NewSTS(opts STSOptions) (Source, error) {
	s, err := newSTSSource("sts", "allow sts:GetFederationToken to the account of the SecretId",
		opts.Endpoint, opts.Duration, stsMaxDuration, opts.Transport)
	_, _, pairErr := opts.Pair.read()
	if err = errors.Join(pairErr, err); err != nil {
		return nil, err
	}
	return SourceFunc(func(ctx context.Context, scope Scope) (signer.Credentials, error) {
		return s.askAs(ctx, opts.Pair, scope, (*sts.Client).GetCredential, sts.CredentialOptions{})
	}), nil
}

// askAs has do call STS as the pair, for a key that the scope limits; opts are
// what else the call takes.
func (s *stsSource) askAs(
	ctx context.Context, pair KeyPair, scope Scope,
	do func(*sts.Client, *sts.CredentialOptions) (*sts.CredentialResult, error), opts sts.CredentialOptions,
) (signer.Credentials, error) {
	policy, err := s.policy(scope)
	if err != nil {
		return signer.Credentials{}, err
	}
	id, key, err := pair.read()
	if err != nil {
		return signer.Credentials{}, unreadable(s.source, err)
	}
	opts.Policy, opts.Region, opts.DurationSeconds = policy, scope.Region, s.seconds()
	return s.ask(ctx, id, key, key, func(c *sts.Client) (*sts.CredentialResult, error) { return do(c, &opts) })
}
