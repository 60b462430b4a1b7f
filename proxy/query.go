package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// param is one pair of a query, decoded.
type param struct{ key, value string }

// query is a client's query in two forms that mean the same: the text that
// goes to COS and the decoded pairs. Order and every pair are kept, because
// COS routes on the first parameter.
type query struct {
	raw    string
	params []param
}

// parseQuery decodes raw and writes it anew where the two readings of a query
// differ: + becomes %20, a raw ; becomes %3B (net/url drops such pairs), a raw #
// becomes %23 (a fragment begins there), bytes beyond ASCII are escaped. The
// parameters of a signature, which a client may have made with a key of its
// own, are left out. A broken escape is an error: what cannot be decoded cannot
// be signed.
func parseQuery(raw string) (query, error) {
	var q query
	if raw == "" {
		return q, nil
	}
	var wire strings.Builder
	changed := strings.HasSuffix(raw, "&")
	for rest := raw; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			changed = true
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		p, err := decodeParam(key, value)
		if err != nil {
			return query{}, err
		}
		if key == "" {
			return query{}, errorf(http.StatusBadRequest, "InvalidURI",
				"The query has a parameter without a name, which COS and a signature read differently. Write name=value.")
		}
		if signatureParams[strings.ToLower(p.key)] {
			changed = true
			continue
		}
		q.params = append(q.params, p)
		if wire.Len() > 0 {
			wire.WriteByte('&')
		}
		if writePair(&wire, pair) {
			changed = true
		}
	}
	q.raw = raw
	if changed {
		q.raw = wire.String()
	}
	return q, nil
}

func decodeParam(key, value string) (param, error) {
	k, err := url.QueryUnescape(key)
	if err != nil {
		return param{}, brokenEscape(err)
	}
	v, err := url.QueryUnescape(value)
	if err != nil {
		return param{}, brokenEscape(err)
	}
	return param{k, v}, nil
}

// brokenEscape shows the escape alone: what surrounds it may be a token.
func brokenEscape(err error) error {
	return errorf(http.StatusBadRequest, "InvalidURI",
		"The query cannot be decoded: %v. Write a literal %% as %%25.", err)
}

// writePair appends one pair of a query in the form that has one reading only,
// and reports whether that differs from the original.
func writePair(b *strings.Builder, pair string) (changed bool) {
	const hex = "0123456789ABCDEF"
	for i := range len(pair) {
		switch c := pair[i]; {
		case c == '+':
			b.WriteString("%20")
		case c == ';' || c == '#' || c <= ' ' || c >= 0x7f:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		default:
			b.WriteByte(c)
			continue
		}
		changed = true
	}
	return changed
}

// signatureParams are the query parameters that carry a signature (COS
// document "Request signature") or the token beside it. Those of a client are
// dropped: the request leaves with the proxy's signature only.
var signatureParams = map[string]bool{
	"q-sign-algorithm":     true,
	"q-ak":                 true,
	"q-sign-time":          true,
	"q-key-time":           true,
	"q-header-list":        true,
	"q-url-param-list":     true,
	"q-signature":          true,
	"x-cos-security-token": true,
	"x-ci-security-token":  true,
	"sign":                 true, // the whole of it in one, as old SDKs put it
	"x-amz-algorithm":      true, // and those of S3 clients
	"x-amz-credential":     true,
	"x-amz-date":           true,
	"x-amz-expires":        true,
	"x-amz-signedheaders":  true,
	"x-amz-signature":      true,
	"x-amz-security-token": true,
	"x-amz-content-sha256": true,
	"awsaccesskeyid":       true,
	"signature":            true,
}

// has reports whether the query names key, with or without a value. Names are
// case-sensitive.
func (q query) has(key string) bool {
	for i := range q.params {
		if q.params[i].key == key {
			return true
		}
	}
	return false
}

// get returns the first value of key.
func (q query) get(key string) string {
	for i := range q.params {
		if q.params[i].key == key {
			return q.params[i].value
		}
	}
	return ""
}

// under returns q with keyPrefix in front of the prefix that it lists.
func (q query) under(keyPrefix string) query {
	escaped := strings.ReplaceAll(url.QueryEscape(keyPrefix), "+", "%20")
	var moved query
	var wire []string
	if q.raw != "" {
		wire = strings.Split(q.raw, "&") // one to one with q.params
	}
	found := false
	for i, p := range q.params {
		if p.key == "prefix" {
			_, value, _ := strings.Cut(wire[i], "=")
			wire[i] = "prefix=" + escaped + value
			p.value = keyPrefix + p.value
			found = true
		}
		moved.params = append(moved.params, p)
	}
	if !found {
		moved.params = append(moved.params, param{"prefix", keyPrefix})
		wire = append(wire, "prefix="+escaped)
	}
	moved.raw = strings.Join(wire, "&")
	return moved
}

// processes reports whether, on a plain object, a parameter may be a rule by which
// COS or CI makes something else of it.
func (q query) processes() bool {
	return slices.ContainsFunc(q.params, func(p param) bool {
		return p.key != "versionId" && p.key != "x-cos-traffic-limit" && !strings.HasPrefix(p.key, "response-")
	})
}
