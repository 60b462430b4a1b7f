package cosreq

import "strings"

// Pattern is a literal or a prefix with a final *: dir/* matches texts that begin with
// dir/, a.txt only matches a.txt, * matches every text. A * elsewhere is literal. The zero
// value only matches the empty text.
type Pattern string

// Matches reports whether p matches text.
func (p Pattern) Matches(text string) bool {
	prefix, wildcard := strings.CutSuffix(string(p), "*")
	return wildcard && strings.HasPrefix(text, prefix) || text == string(p)
}

// Covers reports whether p matches all texts that begin with prefix.
func (p Pattern) Covers(prefix string) bool {
	own, wildcard := strings.CutSuffix(string(p), "*")
	return wildcard && strings.HasPrefix(prefix, own)
}

// MatchAny reports whether one of the patterns matches text.
func MatchAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if Pattern(p).Matches(text) {
			return true
		}
	}
	return false
}

// CoverAny reports whether one of the patterns covers prefix.
func CoverAny(patterns []string, prefix string) bool {
	for _, p := range patterns {
		if Pattern(p).Covers(prefix) {
			return true
		}
	}
	return false
}
