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
	// Pair is the long-lived key pair that assumes the role. Required. The only permission it
	// needs is sts:AssumeRole on this role.
	Pair SecretPair
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
// the policy of the scope: the credentials grant what both the role and the scope allow.
// Errors are as those of NewSTS.
func NewRole(opts RoleOptions) (Source, error) {
	if opts.SessionName == "" {
		opts.SessionName = sessionName
	}
	s, err := newSTSSource("role", "allow sts:AssumeRole to the account of the SecretId, and name it in the trust policy of the role",
		opts.Endpoint, opts.Duration, roleMaxDuration, opts.Transport)
	_, _, pairErr := opts.Pair.read()
	if err = errors.Join(pairErr, checkRole(opts.RoleARN, opts.SessionName), err); err != nil {
		return nil, err
	}
	return SourceFunc(func(ctx context.Context, scope Scope) (signer.Credentials, error) {
		return s.callWithPolicy(ctx, opts.Pair, scope, (*sts.Client).GetRoleCredential, sts.CredentialOptions{
			RoleArn: opts.RoleARN, RoleSessionName: opts.SessionName, ExternalId: opts.ExternalID,
		})
	}), nil
}
