package credcache

import (
	"context"
	"errors"
	"net/http"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/signer"
)

// RoleOptions configure NewRole. Printing them shows no secret.
type RoleOptions struct {
	// Pair is the long-lived key pair that assumes the role. Required without a Caller. The only
	// permission it needs is sts:AssumeRole on this role.
	Pair SecretPair
	// Caller provides temporary credentials that assume the role instead of a Pair: those
	// of another role, from NewOIDC or NewCVM (role chaining). Sources that share a Caller
	// share its credentials. It must belong to another Cache, to be closed after the one of
	// this source. The trust policy of the role must name the role of the Caller, which
	// needs the permission sts:AssumeRole on it. Nil: Pair.
	Caller *Provider
	// RoleARN is the role: qcs::cam::uin/<uin>:roleName/<name>, or with
	// role/<id> at the end. Required.
	RoleARN string
	// SessionName identifies the calls in the audit log (CloudAudit): 2 to 128 letters,
	// digits and +=,.@_-. Empty: cosproxy.
	SessionName string
	// ExternalID is an id that the trust policy of the role may require. Empty: none.
	ExternalID string
	// Endpoint and Transport are as in STSOptions.
	Endpoint  string
	Transport http.RoundTripper
	// Duration is the requested lifetime, in whole seconds, 1 s to 43200 s (12 h) and at
	// most the maximum session duration of the role. Zero: 30 min.
	Duration time.Duration
}

// NewRole returns a Source that calls AssumeRole of Tencent Cloud STS through its SDK, with
// the policy of the scope: the credentials grant what both the role and the scope allow. They
// may outlive the credentials of a Caller. Errors are as those of NewSTS; with a Caller also
// *CallerErrors.
func NewRole(opts RoleOptions) (Source, error) {
	if opts.SessionName == "" {
		opts.SessionName = sessionName
	}
	allow := "allow sts:AssumeRole to the account of the SecretId, and name it in the trust policy of the role"
	if opts.Caller != nil {
		allow = "allow sts:AssumeRole on this role to the role of the caller, and name the caller's role in the trust policy of this role"
	}
	s, err := newSTSSource("role", allow, opts.Endpoint, opts.Duration, roleMaxDuration, opts.Transport)
	if err = errors.Join(opts.checkCaller(), checkRole(opts.RoleARN, opts.SessionName), err); err != nil {
		return nil, err
	}
	if opts.Caller != nil {
		s.chained = true
		chained := &chainedRole{stsSource: s, caller: opts.Caller, params: assumeRoleParams{
			RoleArn: opts.RoleARN, RoleSessionName: opts.SessionName, ExternalID: opts.ExternalID, DurationSeconds: s.seconds(),
		}}
		return SourceFunc(chained.fetch), nil
	}
	return SourceFunc(func(ctx context.Context, scope Scope) (signer.Credentials, error) {
		return s.callWithPolicy(ctx, opts.Pair, scope, (*sts.Client).GetRoleCredential, sts.CredentialOptions{
			RoleArn: opts.RoleARN, RoleSessionName: opts.SessionName, ExternalId: opts.ExternalID,
		})
	}), nil
}

// checkCaller checks what authenticates the call.
func (o RoleOptions) checkCaller() error {
	switch {
	case o.Caller == nil:
		_, _, err := o.Pair.read()
		return err
	case o.Pair != nil:
		return &OptionError{Field: "Pair", Problem: "given together with a Caller; give one of them"}
	}
	return nil
}
