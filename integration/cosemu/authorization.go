package cosemu

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorizationFields are the parts of an Authorization value, in the order of the
// documents and of every SDK. A presigned URL carries them as query parameters.
var authorizationFields = []string{
	"q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time",
	"q-header-list", "q-url-param-list", "q-signature",
}

// authorization is the signature of a request with its parameters.
type authorization struct {
	secretID              string
	signTime, keyTime     string
	headerList, paramList string
	signature             string
	presigned             bool
}

// parseAuthorization reads the Authorization header or, without one, the query.
func parseAuthorization(r *http.Request, query params) (authorization, error) {
	headers := r.Header["Authorization"]
	switch {
	case len(headers) == 1:
		return authorizationFromHeader(headers[0])
	case len(headers) > 1:
		return authorization{}, accessDenied("more than one Authorization header")
	case query.has("q-sign-algorithm") || query.has("q-signature"):
		return authorizationFromQuery(query)
	}
	return authorization{}, accessDenied("Access Denied.")
}

func authorizationFromHeader(header string) (authorization, error) {
	parts := strings.Split(header, "&")
	if len(parts) != len(authorizationFields) {
		return authorization{}, accessDenied("Authorization must have the fields %s, in this order", strings.Join(authorizationFields, ", "))
	}
	values := make([]string, len(parts))
	for i, part := range parts {
		value, ok := strings.CutPrefix(part, authorizationFields[i]+"=")
		if !ok {
			return authorization{}, accessDenied("field %d of Authorization must be %s", i+1, authorizationFields[i])
		}
		values[i] = value
	}
	return newAuthorization(values, false)
}

func authorizationFromQuery(query params) (authorization, error) {
	values := make([]string, len(authorizationFields))
	for i, name := range authorizationFields {
		matches := slices.Collect(func(yield func(string) bool) {
			for _, p := range query {
				if p.name == name && !yield(p.value) {
					return
				}
			}
		})
		if len(matches) != 1 {
			return authorization{}, accessDenied("a presigned URL must have the parameter %s once", name)
		}
		values[i] = matches[0]
	}
	return newAuthorization(values, true)
}

func newAuthorization(v []string, presigned bool) (authorization, error) {
	if v[0] != "sha1" {
		return authorization{}, accessDenied("q-sign-algorithm must be sha1")
	}
	return authorization{
		secretID: v[1], signTime: v[2], keyTime: v[3],
		headerList: v[4], paramList: v[5], signature: v[6],
		presigned: presigned,
	}, nil
}

// maxSkew is the maximum time by which a client's clock may be ahead
// (RequestTimeTooSkewed in the list of error codes).
const maxSkew = 15 * time.Minute

// checkWindow compares a q-sign-time or q-key-time, "<start>;<end>" in Unix seconds,
// with the clock.
func checkWindow(window string, now time.Time) error {
	from, to, ok := strings.Cut(window, ";")
	start, errStart := strconv.ParseUint(from, 10, 62)
	end, errEnd := strconv.ParseUint(to, 10, 62)
	switch {
	case !ok || errStart != nil || errEnd != nil || end <= start:
		return accessDenied("the signing window %q is not <start>;<end>", window)
	case now.Add(maxSkew).Before(time.Unix(int64(start), 0)):
		return cosErrorf(http.StatusForbidden, "RequestTimeTooSkewed",
			"The difference between the request time and the current time is too large.")
	case !now.Before(time.Unix(int64(end), 0)):
		return accessDenied("Request has expired")
	}
	return nil
}
