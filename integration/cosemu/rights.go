package cosemu

import "slices"

// rights are the policies that limit a key, all of which must allow what it
// does. Without any, it may do everything.
type rights []*policy

// allows reports whether every policy lets a happen.
func (rs rights) allows(a access) bool {
	return !slices.ContainsFunc(rs, func(p *policy) bool { return !p.allows(a) })
}

// hasConditions reports whether facts are worth gathering for rs.
func (rs rights) hasConditions() bool { return slices.ContainsFunc(rs, (*policy).hasConditions) }

// and returns rs narrowed by p.
func (rs rights) and(p *policy) rights { return append(slices.Clip(rs), p) }

// parseRights reads the policy of a key or a role, of which none means
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
