package cosreq

import "strings"

// Pattern is a text, or a stem and a final *: dir/* matches all that begins with dir/,
// a.txt itself alone, * everything. A * elsewhere is a byte like any other. The zero
// value matches the empty text alone.
type Pattern string

// Matches reports whether text is one of those that p means.
func (p Pattern) Matches(text string) bool {
	stem, open := strings.CutSuffix(string(p), "*")
	return open && strings.HasPrefix(text, stem) || text == string(p)
}

// Covers reports whether p matches all texts that begin with prefix.
func (p Pattern) Covers(prefix string) bool {
	stem, open := strings.CutSuffix(string(p), "*")
	return open && strings.HasPrefix(prefix, stem)
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
