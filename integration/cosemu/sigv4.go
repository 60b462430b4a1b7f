package cosemu

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// v4Algorithm is the only algorithm of Signature Version 4 that the emulator knows.
const v4Algorithm = "AWS4-HMAC-SHA256"

// v4TimeFormat is the format of x-amz-date.
const v4TimeFormat = "20060102T150405Z"

// maxV4Expires is the longest validity of a presigned URL.
const maxV4Expires = 7 * 24 * time.Hour

// v4Signature is an AWS Signature Version 4 with its parameters ("Authenticating
// Requests (AWS Signature Version 4)", Amazon S3 API Reference).
type v4Signature struct {
	secretID      string
	scope         string // <date>/<region>/s3/aws4_request
	time          string // x-amz-date
	signedHeaders string
	signature     string
	payload       string // the value of x-amz-content-sha256
	token         string
	presigned     bool
	expires       string // X-Amz-Expires, in seconds
}

// parseV4 reads the signature of r from its Authorization header or its query.
func parseV4(r *http.Request, query params) (v4Signature, error) {
	if r.Header["Authorization"] == nil {
		return parseV4Query(r.Header, query)
	}
	return parseV4Header(r.Header, query)
}

func parseV4Header(h http.Header, query params) (v4Signature, error) {
	for _, p := range query {
		if strings.HasPrefix(strings.ToLower(p.name), "x-amz-") {
			return v4Signature{}, invalidArgument("the parameter %s belongs to a presigned URL, but the signature is in Authorization", p.name)
		}
	}
	fields, err := v4Fields(h["Authorization"])
	if err != nil {
		return v4Signature{}, err
	}
	sig := v4Signature{signedHeaders: fields["SignedHeaders"], signature: fields["Signature"]}
	if sig.secretID, sig.scope, err = splitV4Credential(fields["Credential"]); err != nil {
		return sig, err
	}
	for name, field := range map[string]*string{
		"X-Amz-Date": &sig.time, "X-Amz-Content-Sha256": &sig.payload, "X-Amz-Security-Token": &sig.token,
	} {
		if len(h[name]) > 1 {
			return sig, invalidArgument("more than one %s", strings.ToLower(name))
		}
		*field = h.Get(name)
	}
	switch {
	case sig.time == "":
		return sig, accessDenied("AWS authentication requires a valid Date or x-amz-date header")
	case sig.payload == "":
		return sig, cosErrorf(http.StatusBadRequest, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	return sig, nil
}

// v4Fields splits an Authorization header into Credential, SignedHeaders and Signature.
func v4Fields(headers []string) (map[string]string, error) {
	if len(headers) != 1 {
		return nil, malformedV4("there is more than one")
	}
	list, ok := strings.CutPrefix(headers[0], v4Algorithm+" ")
	if !ok {
		return nil, malformedV4("the algorithm must be " + v4Algorithm)
	}
	fields := map[string]string{"Credential": "", "SignedHeaders": "", "Signature": ""}
	for item := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		if old, known := fields[name]; !known || old != "" {
			return nil, malformedV4("it must have Credential, SignedHeaders and Signature, each once")
		}
		fields[name] = value
	}
	for name, value := range fields {
		if value == "" {
			return nil, malformedV4(name + " is missing")
		}
	}
	return fields, nil
}

func malformedV4(why string) *cosError {
	return cosErrorf(http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed; %s.", why)
}

// splitV4Credential splits <SecretId>/<date>/<region>/<service>/aws4_request.
func splitV4Credential(credential string) (secretID, scope string, err error) {
	secretID, scope, ok := strings.Cut(credential, "/")
	if !ok || secretID == "" || strings.Count(scope, "/") != 3 {
		return "", "", malformedV4("Credential must be <SecretId>/<date>/<region>/s3/aws4_request")
	}
	return secretID, scope, nil
}

// v4QueryNames are the parameters of a presigned URL's signature.
var v4QueryNames = []string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
}

func parseV4Query(h http.Header, query params) (v4Signature, error) {
	values := map[string][]string{}
	for _, p := range query {
		values[p.name] = append(values[p.name], p.value)
	}
	for _, name := range v4QueryNames {
		if len(values[name]) != 1 {
			return v4Signature{}, malformedV4Query("a presigned URL must have the parameter " + name + " once")
		}
	}
	sig := v4Signature{
		time: query.get("X-Amz-Date"), expires: query.get("X-Amz-Expires"), presigned: true,
		signedHeaders: query.get("X-Amz-SignedHeaders"), signature: query.get("X-Amz-Signature"),
	}
	if query.get("X-Amz-Algorithm") != v4Algorithm {
		return sig, malformedV4Query("X-Amz-Algorithm must be " + v4Algorithm)
	}
	var err error
	if sig.secretID, sig.scope, err = splitV4Credential(query.get("X-Amz-Credential")); err != nil {
		return sig, err
	}
	tokens := slices.Concat(values["X-Amz-Security-Token"], h["X-Amz-Security-Token"])
	hashes := slices.Concat(values["X-Amz-Content-Sha256"], h["X-Amz-Content-Sha256"], []string{unsignedPayload})
	if len(tokens) > 1 || len(hashes) > 2 {
		return sig, malformedV4Query("X-Amz-Security-Token or X-Amz-Content-Sha256 is given twice")
	}
	sig.token, sig.payload = strings.Join(tokens, ""), hashes[0]
	return sig, nil
}

func malformedV4Query(why string) *cosError {
	return cosErrorf(http.StatusBadRequest, "AuthorizationQueryParametersError", "%s", why)
}

// checkScope requires the credential scope of the region at the date of the request.
// COS is reported to accept any region here (live tests in public repositories), so
// the emulator is stricter.
func (sig v4Signature) checkScope(region string) error {
	part := strings.Split(sig.scope, "/")
	switch {
	case !strings.HasPrefix(sig.time, part[0]+"T"):
		return malformedV4("the date in Credential is not that of x-amz-date")
	case part[1] != region:
		return malformedV4("the region '" + part[1] + "' is wrong; expecting '" + region + "'")
	case part[2] != "s3" || part[3] != "aws4_request":
		return malformedV4("Credential must end in s3/aws4_request")
	}
	return nil
}

// checkTime compares x-amz-date, and the end of a presigned URL, with the clock.
func (sig v4Signature) checkTime(now time.Time) error {
	at, err := time.Parse(v4TimeFormat, sig.time)
	if err != nil {
		return accessDenied("x-amz-date must be of the form %s", v4TimeFormat)
	}
	seconds, err := strconv.ParseUint(sig.expires, 10, 31)
	life := time.Duration(seconds) * time.Second
	switch {
	case at.After(now.Add(maxSkew)) || !sig.presigned && at.Before(now.Add(-maxSkew)):
		return cosErrorf(http.StatusForbidden, "RequestTimeTooSkewed",
			"The difference between the request time and the current time is too large.")
	case !sig.presigned:
		return nil
	case err != nil || life == 0 || life > maxV4Expires:
		return malformedV4Query("X-Amz-Expires must be a number of seconds from 1 to 604800")
	case !now.Before(at.Add(life)):
		return accessDenied("Request has expired")
	}
	return nil
}

// canonicalRequest returns the text whose hash is signed. It fails if SignedHeaders is
// not a sorted list of headers of r that has Host.
func (sig v4Signature) canonicalRequest(r *http.Request, path string, query params) (string, error) {
	names := strings.Split(sig.signedHeaders, ";")
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) || !slices.Contains(names, "host") {
		return "", v4Mismatch("SignedHeaders must be sorted names in lower case with host, each once")
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escapePath(path) + "\n" + sig.canonicalQuery(query) + "\n")
	for _, name := range names {
		value, present := v4HeaderValue(r, name)
		if !present || name != strings.ToLower(name) {
			return "", v4Mismatch("SignedHeaders has the name " + name + ", which is not a header of the request in lower case")
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + sig.signedHeaders + "\n" + sig.payload)
	return b.String(), nil
}

// escapePath encodes every byte outside A-Z a-z 0-9 - _ . ~ / of a decoded path. S3
// encodes once and does not clean the path.
func escapePath(path string) string { return strings.ReplaceAll(escape(path), "%2F", "/") }

// canonicalQuery is the query without the signature, sorted by encoded name and value.
func (sig v4Signature) canonicalQuery(query params) string {
	pairs := make([][2]string, 0, len(query))
	for _, p := range query {
		if !sig.presigned || p.name != "X-Amz-Signature" {
			pairs = append(pairs, [2]string{escape(p.name), escape(p.value)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	text := make([]string, len(pairs))
	for i, pair := range pairs {
		text[i] = pair[0] + "=" + pair[1]
	}
	return strings.Join(text, "&")
}

// v4HeaderValue returns the value of a header in the canonical request: trimmed, with
// single spaces, repeated headers joined by commas.
func v4HeaderValue(r *http.Request, name string) (value string, present bool) {
	var values []string
	switch name {
	case "host":
		values = []string{r.Host}
	case "transfer-encoding":
		values = r.TransferEncoding
	default:
		values = r.Header[http.CanonicalHeaderKey(name)]
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		words := strings.FieldsFunc(v, func(c rune) bool { return c == ' ' })
		trimmed[i] = strings.Trim(strings.Join(words, " "), "\t")
	}
	return strings.Join(trimmed, ","), len(values) > 0
}

// stringToSign is the message of the HMAC.
func (sig v4Signature) stringToSign(canonicalRequest string) string {
	return v4Algorithm + "\n" + sig.time + "\n" + sig.scope + "\n" + hexSHA256(canonicalRequest)
}

// v4Sign signs text with the key that secretKey has in scope.
func v4Sign(secretKey, scope, text string) string {
	key := "AWS4" + secretKey
	for part := range strings.SplitSeq(scope, "/") {
		key = macSHA256(key, part)
	}
	return hex.EncodeToString([]byte(macSHA256(key, text)))
}

func v4Mismatch(why string) *cosError {
	return cosErrorf(http.StatusForbidden, "SignatureDoesNotMatch", "%s", why)
}
