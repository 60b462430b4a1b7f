package credcache

import (
	"net/url"
	"strings"
)

// minLeakLength is the length in bytes from which a piece of a secret counts as the
// secret. A server that echoes a secret may truncate or escape it.
const minLeakLength = 12

// redact masks the words of text that contain a piece of secret, or all of a secret that
// is shorter than such a piece.
func redact(text, secret string) string {
	if secret == "" {
		return text
	}
	words := strings.Fields(text)
	for i, word := range words {
		if plain, err := url.QueryUnescape(strings.ReplaceAll(word, "+", "%2B")); err == nil && leaks(plain, secret) || leaks(word, secret) {
			words[i] = "[redacted]"
		}
	}
	return strings.Join(words, " ")
}

// leaks reports whether text and secret share minLeakLength consecutive bytes, or the
// length of secret if that is less.
func leaks(text, secret string) bool {
	piece := min(minLeakLength, len(secret))
	for i := 0; i+piece <= len(text); i++ {
		if strings.Contains(secret, text[i:i+piece]) {
			return true
		}
	}
	return false
}
