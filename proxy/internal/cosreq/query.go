package cosreq

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"cosproxy/proxy/internal/coserr"
)

// Param is one parameter of a query, decoded.
type Param struct{ Key, Value string }

// Query is a query in two forms with the same meaning: the text that goes to COS and
// the decoded parameters. Order and repeated parameters are kept, because COS routes
// on the first one. The zero value is the empty query.
type Query struct {
	Raw    string
	Params []Param // one for each pair of Raw
}

// ParseQuery decodes raw and rewrites what has two readings: + becomes %20, a raw ;
// becomes %3B (net/url drops such pairs), a raw # becomes %23 (a fragment begins
// there), blanks, control bytes and bytes beyond ASCII are escaped, empty pairs are
// left out. So are the parameters of a signature, which a client may have made with
// credentials of its own. A broken escape or an empty name gives 400 InvalidURI: what
// cannot be decoded cannot be signed. Only what has to change is copied.
func ParseQuery(raw string) (Query, error) {
	var q Query
	if raw == "" {
		return q, nil
	}
	q.Params = make([]Param, 0, strings.Count(raw, "&")+1)
	w := queryWriter{raw: raw}
	for from := 0; from < len(raw); {
		end := len(raw)
		if i := strings.IndexByte(raw[from:], '&'); i >= 0 {
			end = from + i
		}
		p, err := parsePair(raw[from:end])
		switch {
		case err != nil:
			return Query{}, err
		case from == end, isSignatureParam(p.Key):
		default:
			q.Params = append(q.Params, p)
			w.pair(from, end)
		}
		from = end + 1
	}
	q.Raw = w.query()
	if len(q.Params) == 0 {
		q.Params = nil
	}
	return q, nil
}

// parsePair decodes a pair. That of an empty one is the zero value.
func parsePair(pair string) (Param, error) {
	key, value, _ := strings.Cut(pair, "=")
	k, err := url.QueryUnescape(key)
	if err != nil {
		return Param{}, escapeError(err)
	}
	v, err := url.QueryUnescape(value)
	if err != nil {
		return Param{}, escapeError(err)
	}
	if key == "" && pair != "" {
		return Param{}, coserr.New(http.StatusBadRequest, "InvalidURI",
			"The query has a parameter without a name, which COS and a signature read differently. Write name=value.")
	}
	return Param{k, v}, nil
}

// escapeError repeats the escape alone: what surrounds it may be a token.
func escapeError(err error) error {
	return coserr.New(http.StatusBadRequest, "InvalidURI",
		"The query cannot be decoded: %v. Write a literal %% as %%25.", err)
}

// queryWriter writes the pairs of a query that are kept. It copies nothing as long as
// they are the beginning of raw.
type queryWriter struct {
	raw       string
	unchanged int    // raw[:same] is what was written, while out is nil
	out       []byte // what was written, once it differs from raw
}

func (w *queryWriter) pair(from, end int) {
	pair := w.raw[from:end]
	if w.out == nil {
		if !hasAmbiguous(pair) && (from == 0 || w.unchanged > 0 && from == w.unchanged+1) {
			w.unchanged = end
			return
		}
		w.out = append(make([]byte, 0, len(w.raw)+16), w.raw[:w.unchanged]...)
	}
	if len(w.out) > 0 {
		w.out = append(w.out, '&')
	}
	w.out = appendPair(w.out, pair)
}

func (w *queryWriter) query() string {
	if w.out == nil {
		return w.raw[:w.unchanged]
	}
	return string(w.out)
}

// appendPair appends a pair in the form that has one reading only.
func appendPair(b []byte, pair string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(pair) {
		switch c := pair[i]; {
		case c == '+':
			b = append(b, "%20"...)
		case isAmbiguous(c):
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

func hasAmbiguous(pair string) bool {
	for i := range len(pair) {
		if isAmbiguous(pair[i]) {
			return true
		}
	}
	return false
}

// isAmbiguous reports whether readers take a raw byte of a query in different ways,
// or for the end of it.
func isAmbiguous(c byte) bool { return c == '+' || c == ';' || c == '#' || c <= ' ' || c >= 0x7f }

// signatureParams are the query parameters that carry a signature (COS document
// "Request signature") or its token. Those of a client are dropped: the request
// leaves with the proxy's signature only.
var signatureParams = setOf(`
	q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list q-signature
	x-cos-security-token x-ci-security-token sign
	x-amz-algorithm x-amz-credential x-amz-date x-amz-expires x-amz-signedheaders
	x-amz-signature x-amz-security-token x-amz-content-sha256 awsaccesskeyid signature`)

// isSignatureParam reports whether a parameter is one of them, in any spelling. It
// allocates only for names beyond ASCII.
func isSignatureParam(name string) bool {
	var buf [len("x-cos-security-token")]byte // no name is longer
	lower := buf[:0]
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= utf8.RuneSelf:
			return signatureParams[strings.ToLower(name)]
		case len(lower) == len(buf):
			continue
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		lower = append(lower, c)
	}
	return len(name) == len(lower) && signatureParams[string(lower)]
}

// Has reports whether the query names key, with or without a value. Names are
// case-sensitive.
func (q Query) Has(key string) bool {
	for i := range q.Params {
		if q.Params[i].Key == key {
			return true
		}
	}
	return false
}

// Get returns the first value of key, "" if there is none.
func (q Query) Get(key string) string {
	for i := range q.Params {
		if q.Params[i].Key == key {
			return q.Params[i].Value
		}
	}
	return ""
}

// WithPrefix returns q with keyPrefix in front of the prefix that it lists.
func (q Query) WithPrefix(keyPrefix string) Query {
	escaped := strings.ReplaceAll(url.QueryEscape(keyPrefix), "+", "%20")
	moved := Query{Params: make([]Param, 0, len(q.Params)+1)}
	pairs := q.pairs()
	found := false
	for i, p := range q.Params {
		if p.Key == "prefix" {
			_, value, _ := strings.Cut(pairs[i], "=")
			pairs[i] = "prefix=" + escaped + value
			p.Value = keyPrefix + p.Value
			found = true
		}
		moved.Params = append(moved.Params, p)
	}
	if !found {
		moved.Params = append(moved.Params, Param{"prefix", keyPrefix})
		pairs = append(pairs, "prefix="+escaped)
	}
	moved.Raw = strings.Join(pairs, "&")
	return moved
}

// Without returns q less the parameters of these names.
func (q Query) Without(names []string) Query {
	var kept Query
	var pairs []string
	for i, pair := range q.pairs() {
		if p := q.Params[i]; !slices.Contains(names, p.Key) {
			kept.Params = append(kept.Params, p)
			pairs = append(pairs, pair)
		}
	}
	kept.Raw = strings.Join(pairs, "&")
	return kept
}

// pairs returns the pairs of Raw, one for each of Params.
func (q Query) pairs() []string {
	if q.Raw == "" {
		return nil
	}
	return strings.Split(q.Raw, "&")
}

// Processes reports whether, on a plain object, a parameter may be a rule by which
// COS or CI makes something else of it.
func (q Query) Processes() bool {
	return slices.ContainsFunc(q.Params, func(p Param) bool {
		return p.Key != "versionId" && p.Key != "x-cos-traffic-limit" && !strings.HasPrefix(p.Key, "response-")
	})
}
