package cosreq

import "strings"

// MatchAny reports whether one of the patterns matches text. A pattern is a literal or a
// prefix with a final *: dir/* matches texts that begin with dir/, a.txt only matches
// a.txt, * matches every text. A * elsewhere is literal.
func MatchAny(patterns []string, text string) bool {
	for _, p := range patterns {
		prefix, wildcard := strings.CutSuffix(p, "*")
		if wildcard && strings.HasPrefix(text, prefix) || text == p {
			return true
		}
	}
	return false
}

// CoverAny reports whether one of the patterns, as for MatchAny, matches all texts that
// begin with prefix.
func CoverAny(patterns []string, prefix string) bool {
	for _, p := range patterns {
		covered, wildcard := strings.CutSuffix(p, "*")
		if wildcard && strings.HasPrefix(prefix, covered) {
			return true
		}
	}
	return false
}
