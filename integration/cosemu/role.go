package cosemu

import (
	"fmt"
	"regexp"
	"strings"
)

// Role is a CAM role, whose keys STS and the metadata service give out.
type Role struct {
	// ARN is qcs::cam::uin/<uin>:roleName/<name>, or …:role/<id>. Callers must
	// name the role by the same form.
	ARN string
	// Policy is the CAM policy, in JSON, that limits the role; empty means that
	// it may do everything.
	Policy string
	// ExternalID is what AssumeRole must give as ExternalId; empty means that the
	// role asks for none.
	ExternalID string
	// ProviderID is the identity provider that the role trusts; empty means that
	// AssumeRoleWithWebIdentity is refused.
	ProviderID string
	// WebIdentityToken returns the token that the provider vouches for now. It is
	// required with ProviderID, called for every call of
	// AssumeRoleWithWebIdentity, from any goroutine, and its result compared to
	// the byte.
	WebIdentityToken func() string
	// Instance says that the role is bound to the instance, whose metadata service
	// then knows it by the last part of the ARN.
	Instance bool
}

// roleARN has the forms of RoleArn in the API reference of AssumeRole.
var roleARN = regexp.MustCompile(`^qcs::cam::uin/[0-9]+:(roleName/[\w+=,.@-]+|role/[0-9]+)$`)

// role is a Role that has been checked.
type role struct {
	Role
	rights rights
}

// name is what the metadata service calls the role.
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
		case (r.ProviderID == "") != (r.WebIdentityToken == nil):
			return nil, fmt.Errorf("cosemu: role %s: ProviderID and WebIdentityToken go together", r.ARN)
		}
		checked[i] = &role{r, rs}
	}
	return checked, nil
}
