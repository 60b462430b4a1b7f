package cosemu

import (
	"regexp"
	"slices"
)

const (
	// roleDuration and maxRoleDuration bound AssumeRole and
	// AssumeRoleWithWebIdentity, in seconds.
	roleDuration    = 7200
	maxRoleDuration = 43200
)

// roleSessionName is the syntax of RoleSessionName (API reference of AssumeRole).
var roleSessionName = regexp.MustCompile(`^[\w+=,.@-]{2,128}$`)

// assumeRole issues credentials with the permissions of the role, restricted by the session
// policy if there is one.
func (s *Server) assumeRole(call stsCall, caller *Credentials) (*Credentials, *stsError) {
	role, err := s.roleOf(call)
	if err != nil {
		return nil, err
	}
	if err := role.checkCaller(caller); err != nil {
		return nil, err
	}
	if role.ExternalID != "" && call.Params.Get("ExternalId") != role.ExternalID {
		return nil, stsErrorf("UnauthorizedOperation", "the role does not trust this ExternalId")
	}
	session, err := call.policy()
	if err != nil {
		return nil, err
	}
	seconds, err := call.duration(roleDuration, maxRoleDuration)
	if err != nil {
		return nil, err
	}
	rights := role.rights
	if session != nil {
		rights = rights.and(session)
	}
	return s.issue(s.lifetime(seconds), rights, role.ARN), nil
}

// checkCaller checks that r trusts the role of temporary credentials, and that this role
// may assume r.
func (r *role) checkCaller(caller *Credentials) *stsError {
	switch {
	case caller.Token == "":
		return nil
	case !slices.Contains(r.TrustedRoles, caller.Role):
		return stsErrorf("UnauthorizedOperation", "the trust policy of the role does not name the role of the caller")
	case !caller.rights.allowsAssumeRole(r.ARN):
		return stsErrorf("UnauthorizedOperation", "the caller has no permission sts:AssumeRole on the role")
	}
	return nil
}

// roleOf returns the role that a call names. It checks the name of the session too.
func (s *Server) roleOf(call stsCall) (*role, *stsError) {
	arn, session := call.Params.Get("RoleArn"), call.Params.Get("RoleSessionName")
	switch {
	case arn == "":
		return nil, missingParameter("RoleArn")
	case session == "":
		return nil, missingParameter("RoleSessionName")
	case !roleARN.MatchString(arn):
		return nil, stsErrorf("InvalidParameter.ParamError", "RoleArn is neither qcs::cam::uin/<uin>:roleName/<name> nor qcs::cam::uin/<uin>:role/<id>")
	case !roleSessionName.MatchString(session):
		return nil, stsErrorf("InvalidParameter.ParamError", "RoleSessionName must be 2 to 128 of letters, digits and +=,.@_-")
	}
	for _, role := range s.roles {
		if role.ARN == arn {
			return role, nil
		}
	}
	return nil, stsErrorf("ResourceNotFound.RoleNotFound", "The role does not exist.")
}
