package cosemu

import "slices"

// rights are the policies that restrict credentials. All must allow an operation;
// without any, everything is allowed.
type rights []*policy

// allows reports whether every policy allows a.
func (rs rights) allows(a access) bool {
	return !slices.ContainsFunc(rs, func(p *policy) bool { return !p.allows(a) })
}

// allowsAssumeRole reports whether every policy allows sts:AssumeRole on the role.
func (rs rights) allowsAssumeRole(arn string) bool {
	return !slices.ContainsFunc(rs, func(p *policy) bool { return !p.allowsAssumeRole(arn) })
}

// hasConditions reports whether a policy in rs has conditions.
func (rs rights) hasConditions() bool { return slices.ContainsFunc(rs, (*policy).hasConditions) }

// and returns rs restricted by p.
func (rs rights) and(p *policy) rights { return append(slices.Clip(rs), p) }

// parseRights parses the policy of credentials or a role. An empty policy allows
// everything.
func parseRights(text string) (rights, error) {
	if text == "" {
		return nil, nil
	}
	p, err := parsePolicy(text)
	if err != nil {
		return nil, err
	}
	return rights{p}, nil
}
