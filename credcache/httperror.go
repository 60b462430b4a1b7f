package credcache

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxErrorBody limits the part of an error response that is read, in bytes.
const maxErrorBody = 4 << 10

// errorDetail returns code and message of an error response of a credentials server, in the
// form of cosproxy's issuer, on one line:
//
//	{"error":{"code":"ScopeNotAllowed","message":"…"}}
//
// It returns "" for a response of another form. known are texts that the server may repeat.
func errorDetail(resp *http.Response, known []string) string {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return ""
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var document struct {
		Error struct{ Code, Message string }
	}
	if err != nil || json.Unmarshal(body, &document) != nil || document.Error.Code == "" {
		return ""
	}
	text := document.Error.Code
	if document.Error.Message != "" {
		text += ": " + document.Error.Message
	}
	return maskLongWords(text, known)
}

// retryAfter returns the delay that a response with status 429 or 503 asks for: Retry-After, in
// seconds or as a date (RFC 9110, 10.2.3). A date counts from the Date of the response, so that
// the clock of this machine does not matter. now replaces a missing one. It returns 0 without a
// valid delay, and at most maxRetryAfter.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

const maxPlainWord = 16

// plainName matches names and patterns of object keys. Secrets are longer, or have
// upper-case letters.
var plainName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9]{0,16}([/:.*_-]+|$))+$|^([A-Z][a-z]{2,15}\.?)+$`)
})

// maskLongWords replaces the words of text that may be a secret of the server with "…": those
// of more than 16 bytes that are neither known nor a plain name.
func maskLongWords(text string, known []string) string {
	words := strings.Fields(text)
	for i, word := range words {
		core := strings.Trim(word, `"'(),;:.`)
		if len(core) > maxPlainWord && !slices.Contains(known, core) && !plainName().MatchString(core) {
			words[i] = strings.Replace(word, core, "…", 1)
		}
	}
	return strings.Join(words, " ")
}
