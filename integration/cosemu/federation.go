package cosemu

import (
	"net/url"
	"regexp"
	"unicode/utf8"
)

const (
	// maxPolicy is the maximum length of a CAM policy in characters.
	maxPolicy = 6144
	// federationDuration and maxFederationDuration bound GetFederationToken, in
	// seconds.
	federationDuration    = 1800
	maxFederationDuration = 129600
)

// federationName is the syntax of Name (GetFederationToken: letters; the SDK's own
// name has hyphens).
var federationName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// federationToken issues credentials with the permissions of the caller, restricted by the
// policy.
func (s *Server) federationToken(call stsCall, caller *Credentials) (*Credentials, *stsError) {
	if !federationName.MatchString(call.Params.Get("Name")) {
		return nil, stsErrorf("InvalidParameter.ParamError", "Name must be letters")
	}
	session, err := call.policy()
	if err != nil {
		return nil, err
	}
	if session == nil {
		return nil, missingParameter("Policy")
	}
	seconds, err := call.duration(federationDuration, maxFederationDuration)
	if err != nil {
		return nil, err
	}
	return s.issue(s.lifetime(seconds), caller.rights.and(session), ""), nil
}

// policy decodes Policy, which callers URL-encode once more than the form does. It is
// nil if the call has no Policy.
func (c stsCall) policy() (*policy, *stsError) {
	encoded := c.Params.Get("Policy")
	text, err := url.QueryUnescape(encoded)
	switch {
	case encoded == "":
		return nil, nil
	case err != nil:
		return nil, stsErrorf("InvalidParameter.StrategyFormatError", "Policy is not URL-encoded: %s", err)
	case utf8.RuneCountInString(text) > maxPolicy:
		return nil, stsErrorf("InvalidParameter.PolicyTooLong", "the policy has %d characters, more than %d", utf8.RuneCountInString(text), maxPolicy)
	}
	p, err := parsePolicy(text)
	if err != nil {
		return nil, stsErrorf("InvalidParameter.StrategyFormatError", "Policy: %s", err)
	}
	return p, nil
}
