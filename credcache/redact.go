package credcache

import (
	"net/url"
	"strings"
)

// tellTale is the length from which a piece of a secret counts as the secret.
// Whoever echoes one may cut it off or escape it.
const tellTale = 12

// redact masks the words of text that have a piece of secret in them.
func redact(text, secret string) string {
	if len(secret) < tellTale {
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

// shares reports whether a and secret have tellTale bytes in a row in common.
func shares(a, secret string) bool {
	for i := 0; i+tellTale <= len(a); i++ {
		if strings.Contains(secret, a[i:i+tellTale]) {
			return true
		}
	}
	return false
}
