package credcache

import (
	"net/url"
	"strings"
)

// tellTale is the length from which a piece of a secret counts as the secret.
// Whoever echoes one may cut it off or escape it.
const tellTale = 12

// redact masks the words of text that have a piece of secret in them, or all of a
// secret that is shorter than such a piece.
func redact(text, secret string) string {
	if secret == "" {
		return text
	}
	words := strings.Fields(text)
	for i, word := range words {
		if plain, err := url.QueryUnescape(strings.ReplaceAll(word, "+", "%2B")); err == nil && shares(plain, secret) || shares(word, secret) {
			words[i] = "[redacted]"
		}
	}
	return strings.Join(words, " ")
}

// shares reports whether a and secret have tellTale bytes in a row in common, or as
// many as secret has.
func shares(a, secret string) bool {
	piece := min(tellTale, len(secret))
	for i := 0; i+piece <= len(a); i++ {
		if strings.Contains(secret, a[i:i+piece]) {
			return true
		}
	}
	return false
}
