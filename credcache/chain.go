package credcache

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"cosproxy/signer"
)

// CallerError reports that a role was not assumed because RoleOptions.Caller has no
// credentials. The other errors of such a source are about the role itself.
type CallerError struct {
	// Err is the error of the caller's source, or wraps ErrTimeout or ErrClosed.
	Err error

	retryAfter time.Duration // until the next fetch of the caller; 0: unknown
}

// Error returns the cause.
func (e *CallerError) Error() string { return "no credentials to assume the role: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *CallerError) Unwrap() error { return e.Err }

// chainedRole is the source of NewRole with a Caller.
type chainedRole struct {
	*stsSource
	caller *Provider
	params assumeRoleParams // without Policy
}

// assumeRoleParams are the parameters of AssumeRole in JSON.
type assumeRoleParams struct {
	RoleArn         string
	RoleSessionName string
	ExternalID      string `json:"ExternalId,omitempty"`
	Policy          string
	DurationSeconds int64
}

// fetch assumes the role. If STS rejects the credentials of the caller, they are replaced, and
// the call is repeated once. Provider.Invalidate limits how often they are fetched.
func (r *chainedRole) fetch(ctx context.Context, scope Scope) (signer.Credentials, error) {
	params := r.params
	var err error
	if params.Policy, err = r.encodedPolicy(scope); err != nil {
		return signer.Credentials{}, err
	}
	caller, err := r.caller.Credentials(ctx)
	if err != nil {
		return signer.Credentials{}, callerError(err)
	}
	creds, err := r.callTC3(ctx, caller, "AssumeRole", scope.Region, params)
	var failed *SourceError
	if !errors.As(err, &failed) || !rejectsCaller(failed.Code) {
		return creds, err
	}
	r.caller.Invalidate(caller.SecretID, true)
	next, ok := r.caller.Replacement(ctx, caller.SecretID)
	if !ok {
		return signer.Credentials{}, err
	}
	return r.callTC3(ctx, next, "AssumeRole", scope.Region, params)
}

// encodedPolicy returns the policy of scope in the encoding of the STS SDK: the reference of
// AssumeRole wants it URL-encoded, in JSON too.
func (s *stsSource) encodedPolicy(scope Scope) (string, error) {
	policy, err := s.policy(scope)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(policy)
	return url.QueryEscape(string(text)), err
}

// callerError converts an error of Provider.Credentials. If the context ended first, the error
// has no cause but ErrTimeout.
func callerError(err error) error {
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		return &CallerError{Err: unavailable.Err, retryAfter: unavailable.retryAfter}
	}
	return &CallerError{Err: timeoutError(err)}
}
