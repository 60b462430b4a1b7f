package cosemu

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Role is a CAM role. STS and the metadata service issue its credentials.
type Role struct {
	// ARN is qcs::cam::uin/<uin>:roleName/<name>, or …:role/<id>. Callers must use the
	// same form.
	ARN string
	// Policy is the CAM policy, in JSON, that restricts the role; empty allows
	// everything.
	Policy string
	// TrustedRoles are the ARNs of the roles whose credentials may assume this role, if
	// their policies allow sts:AssumeRole on it. Long-lived credentials may assume every
	// role.
	TrustedRoles []string
	// ExternalID is the ExternalId that AssumeRole requires; empty means none.
	ExternalID string
	// ProviderID is the identity provider that the role trusts; empty makes STS reject
	// AssumeRoleWithWebIdentity.
	ProviderID string
	// WebIdentityToken returns the current token of the provider. It is required with
	// ProviderID. STS calls it for every AssumeRoleWithWebIdentity, from any
	// goroutine, and compares the tokens byte by byte.
	WebIdentityToken func() string
	// Instance binds the role to the instance. The metadata service then serves it
	// under the last part of the ARN.
	Instance bool
}

// roleARN is the syntax of RoleArn in the API reference of AssumeRole.
var roleARN = regexp.MustCompile(`^qcs::cam::uin/[0-9]+:(roleName/[\w+=,.@-]+|role/[0-9]+)$`)

// role is a validated Role.
type role struct {
	Role
	rights rights
}

// name is the name of the role at the metadata service.
func (r *role) name() string { return r.ARN[strings.LastIndexByte(r.ARN, '/')+1:] }

func checkRoles(roles []Role) ([]*role, error) {
	checked := make([]*role, len(roles))
	for i, r := range roles {
		rs, err := parseRights(r.Policy)
		switch {
		case !roleARN.MatchString(r.ARN):
			return nil, fmt.Errorf("cosemu: role %q: an ARN is qcs::cam::uin/<uin>:roleName/<name> or qcs::cam::uin/<uin>:role/<id>", r.ARN)
		case err != nil:
			return nil, fmt.Errorf("cosemu: policy of role %s: %w", r.ARN, err)
		case slices.ContainsFunc(r.TrustedRoles, func(arn string) bool { return !roleARN.MatchString(arn) }):
			return nil, fmt.Errorf("cosemu: role %s trusts %q: a trusted role is named by its ARN", r.ARN, r.TrustedRoles)
		case (r.ProviderID == "") != (r.WebIdentityToken == nil):
			return nil, fmt.Errorf("cosemu: role %s: ProviderID and WebIdentityToken go together", r.ARN)
		}
		checked[i] = &role{r, rs}
	}
	return checked, nil
}
