package credcache

import "slices"

// Canonical returns s with presets expanded, lists sorted and redundant items removed, so
// that scopes that grant the same are equal. It does not modify the slices of s.
func (s Scope) Canonical() Scope { return s.canonical() }

// Contains reports whether credentials for inner grant nothing that credentials for s do not
// grant. An issuer uses it to decide whether it may serve inner. It returns false if one of
// the two is not valid.
//
//   - Bucket and region are equal. Names are case-sensitive, as in COS.
//   - One prefix of s matches every object key that a prefix of inner matches. Prefixes are
//     compared as they are, byte by byte: nothing is percent-decoded or cleaned.
//   - Every action of inner is among those of s, after presets are expanded. The action "*" of
//     s contains calls on the bucket and GetService only if the prefix "*" is in s as well, as
//     Policy compiles it.
func (s Scope) Contains(inner Scope) bool {
	if s.Bucket != inner.Bucket || s.Region != inner.Region || s.Validate() != nil || inner.Validate() != nil {
		return false
	}
	s, inner = s.canonical(), inner.canonical()
	return !slices.ContainsFunc(inner.AllowPrefixes, func(p string) bool { return !s.containsPrefix(p) }) &&
		!slices.ContainsFunc(inner.AllowActions, func(a string) bool { return !s.containsAction(a) })
}

// containsPrefix reports whether one prefix of s matches every object key that p matches.
func (s Scope) containsPrefix(p string) bool {
	return slices.ContainsFunc(s.AllowPrefixes, func(outer string) bool { return outer == p || covers(outer, p) })
}

// containsAction reports whether the policy of the canonical scope s grants action, on the
// object keys of s if it is a call on objects.
func (s Scope) containsAction(action string) bool {
	if slices.Contains(s.AllowActions, action) {
		return true
	}
	onKeys := actions[action] == onObject || actions[action] == onListing
	return s.AllowActions[0] == anyAction && (onKeys || s.AllowPrefixes[0] == "*")
}
