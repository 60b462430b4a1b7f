package issuer

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// maxToken limits a bearer token, in bytes. The tokens of service accounts have about 1 KiB.
const maxToken = 16 << 10

// serviceAccountPrefix begins the names of service accounts in Kubernetes, and the names of
// no other callers.
const serviceAccountPrefix = "system:serviceaccount:"

// Compiling these takes milliseconds, which every start of a sidecar would pay.
var (
	serviceAccountForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^system:serviceaccount:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?:[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	})
	tokenNameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`) })
)

// CheckCaller returns an error unless name is the name of a caller: that of a token, with
// letters, digits and . _ -, or system:serviceaccount:<namespace>:<name>. There are no
// wildcards.
func CheckCaller(name string) error {
	if tokenNameForm().MatchString(name) || serviceAccountForm().MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is not a caller; write the file name of its token, or system:serviceaccount:<namespace>:<name>, without wildcards", shorten(name))
}

// IsServiceAccount reports whether a caller authenticates with a JWT of Kubernetes.
func IsServiceAccount(caller string) bool { return strings.HasPrefix(caller, serviceAccountPrefix) }

// authenticate returns the caller of a request.
func (i *Issuer) authenticate(r *http.Request) (string, *refusal) {
	token := bearerToken(r.Header)
	if token == "" {
		return "", refuse(http.StatusUnauthorized, "Unauthenticated", "send one header Authorization: Bearer with the token of the caller")
	}
	var tokensErr error
	if i.opts.Tokens != nil {
		tokens, err := i.opts.Tokens()
		if tokensErr = err; err == nil {
			if caller := tokens.caller(token); caller != "" {
				return caller, nil
			}
		}
	}
	if i.opts.JWT != nil && strings.Count(token, ".") == 2 {
		caller, err := i.opts.JWT.Caller(r.Context(), token)
		var invalid *TokenError
		switch {
		case err == nil:
			return caller, nil
		case errors.As(err, &invalid) && tokensErr != nil:
			return "", cannotAuthenticate(tokensErr) // it may be the token of a file
		case errors.As(err, &invalid):
			return "", refuse(http.StatusUnauthorized, "Unauthenticated", "the token is rejected: %s", invalid.Reason)
		}
		return "", cannotAuthenticate(err)
	}
	if tokensErr != nil {
		return "", cannotAuthenticate(tokensErr)
	}
	return "", refuse(http.StatusUnauthorized, "Unauthenticated", "the issuer does not know the token; check the token of the caller")
}

func cannotAuthenticate(err error) *refusal {
	refused := refuse(http.StatusServiceUnavailable, "Unavailable", "the issuer cannot check tokens now; see its log")
	refused.retryAfter, refused.cause = time.Second, err
	return refused
}

// bearerToken returns the token of a request, "" if it has none, several or an invalid one.
func bearerToken(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || checkToken(token) != "" {
		return ""
	}
	return token
}

// checkToken returns what makes a token unusable in a header, "" if it is usable.
func checkToken(token string) string {
	switch {
	case token == "":
		return "is empty"
	case len(token) > maxToken:
		return fmt.Sprintf("has more than %d bytes", maxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "has a space, a line break or a character outside ASCII"
	}
	return ""
}
