package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

const quitPath = "/quit"

// quitPage starts the shutdown, as SIGTERM does, if the request has the quit token. It
// reads the file of the token for each request, so that a new token is valid at once.
func (s *pageHost) quitPage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	token, err := readToken(ctx, s.cfg.QuitTokenFile)
	if err != nil {
		s.log.Error("the quit token cannot be used; correct "+variable("QuitTokenFile"), "error.message", err)
		http.Error(w, "the quit token cannot be read; the log has the cause", http.StatusServiceUnavailable)
		return
	}
	if !hasBearer(r, token) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="cosproxy quit"`)
		http.Error(w, "the quit token is missing or wrong; send the content of "+variable("QuitTokenFile")+" as Authorization: Bearer", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, "shutting down")
	// The shutdown closes this connection, so the response must leave before.
	_ = http.NewResponseController(w).Flush() // fails only if the client has left
	s.log.Info("shutdown requested by POST " + quitPath)
	s.shutDown()
}

// hasBearer reports whether r has this token in Authorization: Bearer. Digests have one
// length, so the time does not reveal the length of the token.
func hasBearer(r *http.Request, token string) bool {
	scheme, offered, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(offered))), sha256.Sum256([]byte(token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
