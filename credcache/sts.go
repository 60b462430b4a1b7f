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
	// Pair is the long-lived key pair that requests temporary credentials. Required. STS
	// rejects temporary credentials here.
	Pair SecretPair
	// Endpoint is the URL of STS: scheme, host and optional port. Responses hold
	// credentials in the clear, so use http only for loopback and tests. Empty:
	// https://sts.tencentcloudapi.com.
	Endpoint string
	// Duration is the requested lifetime, in whole seconds, 1 s to 129600 s (36 h).
	// Zero: 30 min.
	Duration time.Duration
	// Transport sends the requests. Nil: a transport that uses the proxy settings of the
	// environment and keeps no connection open, because the next call is many minutes away.
	Transport http.RoundTripper
}

// NewSTS returns a Source that calls GetFederationToken of Tencent Cloud STS through its
// SDK, with the policy of the scope. Errors of Fetch are *SourceErrors. The error of
// NewSTS joins one *OptionError for each problem, and the error of the Pair.
func NewSTS(opts STSOptions) (Source, error) {
	s, err := newSTSSource("sts", "allow sts:GetFederationToken to the account of the SecretId",
		opts.Endpoint, opts.Duration, stsMaxDuration, opts.Transport)
	_, _, pairErr := opts.Pair.read()
	if err = errors.Join(pairErr, err); err != nil {
		return nil, err
	}
	return SourceFunc(func(ctx context.Context, scope Scope) (signer.Credentials, error) {
		return s.callWithPolicy(ctx, opts.Pair, scope, (*sts.Client).GetCredential, sts.CredentialOptions{})
	}), nil
}

// callWithPolicy calls STS through do, authenticated by the pair, for credentials that the
// policy of scope limits. opts holds the other parameters of the call.
func (s *stsSource) callWithPolicy(
	ctx context.Context, pair SecretPair, scope Scope,
	do func(*sts.Client, *sts.CredentialOptions) (*sts.CredentialResult, error), opts sts.CredentialOptions,
) (signer.Credentials, error) {
	policy, err := s.policy(scope)
	if err != nil {
		return signer.Credentials{}, err
	}
	id, key, err := pair.read()
	if err != nil {
		return signer.Credentials{}, readError(s.source, err)
	}
	opts.Policy, opts.Region, opts.DurationSeconds = policy, scope.Region, s.seconds()
	return s.call(ctx, id, key, key, func(c *sts.Client) (*sts.CredentialResult, error) { return do(c, &opts) })
}
