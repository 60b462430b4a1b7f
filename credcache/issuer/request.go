package issuer

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cosproxy/credcache"
)

const (
	// maxItems limits the prefixes and the actions of a request. A policy has room for fewer.
	maxItems = 256
	// maxShown limits a text of the client in an error, in bytes.
	maxShown = 100
)

// parseScope returns the canonical scope that a query describes. Missing, repeated and unknown
// parameters are errors: nothing has a default.
func parseScope(rawQuery string) (credcache.Scope, *refusal) {
	invalid := func(format string, args ...any) (credcache.Scope, *refusal) {
		return credcache.Scope{}, refuse(http.StatusBadRequest, "InvalidRequest", format, args...)
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return invalid("the query is not valid; percent-encode the parameters")
	}
	for name := range query {
		if !slices.Contains([]string{"action", "bucket", "prefix", "region"}, name) {
			return invalid("unknown parameter %s; send action, bucket, prefix and region", shorten(name))
		}
	}
	for _, name := range []string{"bucket", "region"} {
		if len(query[name]) != 1 {
			return invalid("the parameter %s is missing or repeated; send it once", name)
		}
	}
	for _, name := range []string{"action", "prefix"} {
		if n := len(query[name]); n == 0 || n > maxItems {
			return invalid("the parameter %s occurs %d times; send it once for each item, and at most %d times", name, n, maxItems)
		}
	}
	scope := credcache.Scope{
		Bucket: query.Get("bucket"), Region: query.Get("region"), AllowPrefixes: query["prefix"], AllowActions: query["action"],
	}
	for _, prefix := range scope.AllowPrefixes {
		if hasDotSegment(prefix) {
			return invalid("the prefix %s has a segment . or .., which may be resolved to another object key; request it without", shorten(prefix))
		}
	}
	if _, err := scope.Policy(); err != nil { // it validates the scope, too
		return invalid("the scope is not valid: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return scope.Canonical(), nil
}

// hasDotSegment reports whether a prefix has a segment . or .., between slashes of either
// kind, percent-encoded any number of times or not. COS does not document whether it resolves
// them in a policy.
func hasDotSegment(prefix string) bool {
	for segment := range strings.SplitSeq(strings.ReplaceAll(decodeFully(prefix), `\`, "/"), "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// decodeFully decodes percent-encoded bytes until none is left, in one pass. A percent sign
// without two hexadecimal digits does not hide the others.
func decodeFully(text string) string {
	decoded := make([]byte, 0, len(text))
	for i := range len(text) {
		decoded = append(decoded, text[i])
		for n := len(decoded) - 3; n >= 0 && decoded[n] == '%'; n = len(decoded) - 3 {
			b, err := hex.DecodeString(string(decoded[n+1:]))
			if err != nil {
				break
			}
			decoded = append(decoded[:n], b...)
		}
	}
	return string(decoded)
}

// shorten returns at most maxShown bytes of text for an error.
func shorten(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
