package credcache

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
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

const maxPlainWord = 16

// plainName matches names and patterns of object keys. Secrets are longer, or have
// upper-case letters.
var plainName = regexp.MustCompile(`^([a-z0-9]{0,16}([/:.*_-]+|$))+$|^([A-Z][a-z]{2,15}\.?)+$`)

// maskLongWords replaces the words of text that may be a secret of the server with "…": those
// of more than 16 bytes that are neither known nor a plain name.
func maskLongWords(text string, known []string) string {
	words := strings.Fields(text)
	for i, word := range words {
		core := strings.Trim(word, `"'(),;:.`)
		if len(core) > maxPlainWord && !slices.Contains(known, core) && !plainName.MatchString(core) {
			words[i] = strings.Replace(word, core, "…", 1)
		}
	}
	return strings.Join(words, " ")
}
