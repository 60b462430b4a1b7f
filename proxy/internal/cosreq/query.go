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

// Query is a query in two equivalent forms: the text that is sent to COS, and the decoded
// parameters. It keeps the order and repeated parameters, because COS routes on the first
// one. The zero value is the empty query.
type Query struct {
	Raw    string
	Params []Param // one for each pair of Raw
}

// ParseQuery decodes raw and rewrites bytes that parsers read differently: + becomes %20,
// a raw ; becomes %3B (net/url drops such pairs), a raw # becomes %23 (a fragment begins
// there), and blanks, control bytes and non-ASCII bytes are escaped. It removes empty pairs
// and the parameters of a client's signature. It returns 400 InvalidURI for an invalid
// escape or an empty name, because such a query cannot be signed. It copies raw only if
// something changes.
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

// parsePair decodes a pair. The result for an empty pair is the zero value.
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
			"The query has a parameter without a name, which cannot be signed. Send name=value.")
	}
	return Param{k, v}, nil
}

// escapeError quotes only the invalid escape: the text around it may be a token.
func escapeError(err error) error {
	return coserr.New(http.StatusBadRequest, "InvalidURI",
		"The query has an %v. Send a literal %% as %%25.", err)
}

// queryWriter builds the rewritten query. It copies nothing while the result is a prefix of
// raw.
type queryWriter struct {
	raw       string
	unchanged int    // while out is nil, the result is raw[:unchanged]
	out       []byte // the result once it differs from raw
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

// appendPair appends a pair with its ambiguous bytes escaped.
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

// isAmbiguous reports whether parsers read a raw byte of a query differently, or as its
// end.
func isAmbiguous(c byte) bool { return c == '+' || c == ';' || c == '#' || c <= ' ' || c >= 0x7f }

// signatureParams are the query parameters of a signature (COS document "Request
// signature") and its token. The client's are removed, because cosproxy signs the request.
var signatureParams = setOf(`
	q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list q-signature
	x-cos-security-token x-ci-security-token sign
	x-amz-algorithm x-amz-credential x-amz-date x-amz-expires x-amz-signedheaders
	x-amz-signature x-amz-security-token awsaccesskeyid signature`)

// isSignatureParam reports whether a name is in signatureParams, in any case. It allocates
// only for non-ASCII names.
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

// Has reports whether the query has the parameter key, with or without a value. Names are
// case-sensitive.
func (q Query) Has(key string) bool {
	for i := range q.Params {
		if q.Params[i].Key == key {
			return true
		}
	}
	return false
}

// Get returns the first value of key, or "" if the query does not have it.
func (q Query) Get(key string) string {
	for i := range q.Params {
		if q.Params[i].Key == key {
			return q.Params[i].Value
		}
	}
	return ""
}

// WithPrefix returns q with keyPrefix prepended to its prefix parameter, which it adds if
// missing.
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

// Without returns q without the parameters of these names.
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

// pairs returns the pairs of Raw, one per element of Params.
func (q Query) pairs() []string {
	if q.Raw == "" {
		return nil
	}
	return strings.Split(q.Raw, "&")
}

// Processes reports whether a parameter may make COS or Cloud Infinite process the object
// that is read.
func (q Query) Processes() bool {
	return slices.ContainsFunc(q.Params, func(p Param) bool {
		return p.Key != "versionId" && p.Key != harmlessParameter && p.Key != "x-cos-traffic-limit" && !strings.HasPrefix(p.Key, "response-")
	})
}
