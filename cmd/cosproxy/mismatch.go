package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cosproxy/signer"
)

// mismatch is a SignatureDoesNotMatch response with the strings that COS computed from the
// request. One of the two strings may be missing.
type mismatch struct {
	XMLName      xml.Name `xml:"Error"`
	Code         string
	Message      string
	StringToSign string
	FormatString string // the HttpString

	unknownToken bool // the token is masked, and the settings have none
}

// maxResponse limits the size of standard input, in bytes. FormatString is at most three
// times as long as the header of the request, because of the percent-encoding.
const maxResponse = 1 << 20

// readMismatch returns nil if in is empty, a terminal or the null device. The header that
// curl -i prints may precede the document. It returns when ctx ends, since a pipe may
// never be closed.
func readMismatch(ctx context.Context, in io.Reader) (*mismatch, error) {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice != 0 {
			return nil, nil //nolint:nilerr // without standard input there is no response
		}
	}
	var text []byte
	read := make(chan error, 1)
	go func() {
		var err error
		text, err = io.ReadAll(io.LimitReader(in, maxResponse))
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			return nil, fmt.Errorf("standard input cannot be read: %w; redirect it from a file with the response of COS", err)
		}
	case <-ctx.Done():
		return nil, errors.New("interrupted while reading standard input; if there is no response to compare, add </dev/null")
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	m := new(mismatch)
	if err := xml.Unmarshal(text[max(0, bytes.IndexByte(text, '<')):], m); err != nil {
		return nil, fmt.Errorf("standard input is not an error document of COS: %w; pass the complete body of the response, which contains <Error>", err)
	}
	return m, m.check()
}

func (m *mismatch) check() error {
	_, complete := signer.HTTPLines(m.FormatString)
	switch {
	case m.StringToSign == "" && m.FormatString == "":
		return fmt.Errorf("the response on standard input (code %q, message %q) contains neither StringToSign nor FormatString; "+
			"pass the complete response of a SignatureDoesNotMatch error", m.Code, m.Message)
	case m.FormatString != "" && !complete:
		return errors.New("the FormatString on standard input has fewer than four lines; copy the complete response")
	case m.StringToSign != "" && len(m.lines()) != 3:
		return errors.New("the StringToSign on standard input does not have three lines; copy the complete response")
	}
	return nil
}

// lines returns the lines of StringToSign: algorithm, KeyTime and hash.
func (m *mismatch) lines() []string { return toSignLines(m.StringToSign) }

func toSignLines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

// window returns the times in KeyTime.
func (m *mismatch) window() (start, end time.Time, ok bool) {
	if m.StringToSign == "" {
		return start, end, false
	}
	from, to, _ := strings.Cut(m.lines()[1], ";")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	return time.Unix(first, 0), time.Unix(last, 0), err1 == nil && err2 == nil
}

// signingInputs returns the credentials and the time of the signature, as far as the
// response contains them. It uses the token of the response only if creds has none, since
// it may be the wrong token.
func (m *mismatch) signingInputs(creds signer.Credentials, now time.Time) (signer.Credentials, time.Time) {
	if token, masked := m.token(); creds.Token == "" {
		creds.Token = token
		if m.unknownToken = masked != ""; m.unknownToken {
			creds.Token = placeholderToken(masked)
		}
	}
	if start, end, ok := m.window(); ok {
		now = start.Add(time.Minute) // windows start a minute or two before the signature
		if end.After(now) {
			creds.Expires = end
		}
	}
	return creds, now
}

// compare writes the first difference between e and the strings of COS, and returns the
// exit code.
func (m *mismatch) compare(w io.Writer, e signer.Explanation, now time.Time) int {
	if start, end, ok := m.window(); ok && (now.Before(start) || now.After(end)) {
		fmt.Fprintf(w, "\nNote: KeyTime (%s to %s) is not current, so the response is probably old.\n"+
			"A wrong clock causes RequestTimeTooSkewed or \"Request has expired\" instead.\n",
			start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	}
	d := m.firstDifference(e)
	if d == nil {
		if m.unknownToken {
			fmt.Fprintln(w, "\nNote: cosproxy masked the session token in the response, so neither it nor the SHA-1 of HttpString is compared.")
		}
		fmt.Fprintln(w, "\nNo difference: COS received the request as described here.\n"+
			"So the SecretKey of the signature does not belong to the SecretId, or the signature was changed in transit.")
		return exitOK
	}
	fmt.Fprintf(w, "\nThe first difference is in %s:\n  here: %s\n  COS:  %s\n%s", d.where, d.here, d.there, wrap(d.cause, "", 78))
	return exitFailure
}

// firstDifference compares HttpString before StringToSign, which contains the hash of
// HttpString.
func (m *mismatch) firstDifference(e signer.Explanation) *difference {
	var d *difference
	hash := causeHash
	if m.FormatString != "" {
		here, _ := signer.HTTPLines(e.HTTPString)
		there, _ := signer.HTTPLines(m.FormatString)
		_, masked := m.token()
		here[3] = maskHeaderToken(here[3], masked)
		d = cmp.Or(
			diffText("HttpString, line 1, the method", here[0], there[0], causeMethod),
			diffText("HttpString, line 2, the path", here[1], there[1], pathCause(here[1], there[1])),
			diffPairs("HttpString, line 3, the parameter ", here[2], there[2], parameterCause),
			diffPairs("HttpString, line 4, the header ", here[3], there[3], headerCause),
		)
		if hash = causeCopy; masked != "" {
			hash = causeMasked
		}
	}
	if d == nil && m.StringToSign != "" {
		here, there := toSignLines(e.StringToSign), m.lines()
		if m.unknownToken {
			here[2] = there[2]
		}
		d = cmp.Or(
			diffText("StringToSign, line 1, the algorithm", here[0], there[0], causeAlgorithm),
			diffText("StringToSign, line 2, KeyTime", here[1], there[1], causeKeyTime),
			diffText("StringToSign, line 3, the SHA-1 of HttpString", here[2], there[2], hash),
		)
	}
	return d
}

const tokenPair = "x-cos-security-token="

// causeMasked explains a different hash if the token cannot be compared.
const causeMasked = "HttpString is the same except for the session token, which cosproxy masks in the response. The request was signed " +
	"with another token of the same length, or the two strings are from different responses."

// token returns the session token in FormatString, decoded. If cosproxy masked it when it
// forwarded the response, token is empty and masked is the text of *.
func (m *mismatch) token() (token, masked string) {
	lines, _ := signer.HTTPLines(m.FormatString)
	value := pairValue(lines[3], tokenPair)
	if value != "" && strings.Trim(value, "*") == "" {
		return "", value
	}
	token, _ = url.PathUnescape(value)
	return token, ""
}

// pairValue returns the value of the pair in list that starts with prefix.
func pairValue(list, prefix string) string {
	for pair := range strings.SplitSeq(list, "&") {
		if value, found := strings.CutPrefix(pair, prefix); found {
			return value
		}
	}
	return ""
}

// placeholderToken returns a token that is as long in an HttpString as the masked one.
func placeholderToken(masked string) string { return strings.Repeat("x", len(masked)) }

// maskHeaderToken masks the token in a line of headers, if it is as long as masked.
func maskHeaderToken(headers, masked string) string {
	token := pairValue(headers, tokenPair)
	if masked == "" || len(token) != len(masked) {
		return headers
	}
	return strings.Replace(headers, tokenPair+token, tokenPair+masked, 1)
}

// difference is a difference between here and COS, without secrets.
type difference struct{ where, here, there, cause string }

// diffText returns nil if here and there are equal.
func diffText(where, here, there, cause string) *difference {
	if here == there {
		return nil
	}
	return &difference{where, signer.Redact(here), signer.Redact(there), cause}
}

// change is the difference of a pair at COS from the one here.
type change int

const (
	altered change = iota
	dropped
	added
)

const missing = "(missing)"

// diffPairs returns the first pair that differs between two sorted lists of
// key=value, or nil.
func diffPairs(where, here, there string, cause func(key string, c change) string) *difference {
	if here == there {
		return nil
	}
	ours, theirs := splitPairs(here), splitPairs(there)
	i := 0
	for i < min(len(ours), len(theirs)) && ours[i] == theirs[i] {
		i++
	}
	ours, theirs = append(ours[i:], ""), append(theirs[i:], "")
	key, _, _ := strings.Cut(ours[0], "=")
	theirKey, _, _ := strings.Cut(theirs[0], "=")
	d := &difference{here: signer.Redact(ours[0]), there: signer.Redact(theirs[0])}
	kind := altered
	switch {
	case key == theirKey:
	case theirs[0] == "" || ours[0] != "" && key < theirKey:
		d.there, kind = missing, dropped
	default:
		d.here, key, kind = missing, theirKey, added
	}
	if kind == altered && d.here == d.there {
		d.there += ", another value" // Redact masks both
	}
	d.where, d.cause = where+signer.Redact(key), cause(key, kind)
	return d
}

// splitPairs returns the pairs of list. Appending to the result copies it.
func splitPairs(list string) []string {
	if list == "" {
		return nil
	}
	return slices.Clip(strings.Split(list, "&"))
}

// Likely causes of differences. Each includes the case that the caller described another
// request.
const (
	causeMethod = "A proxy changed the method, or the application used another method than the one given here. " +
		"The signature contains it in lower case."
	causePath = "COS signs the path that it receives, percent-decoded once. The path was encoded twice (%25), or a client or proxy " +
		"normalized it (merged //, resolved . and .., decoded %2F), or the URL of the application is another one."
	causePlus = "The path was sent with a raw +. COS reads it as a space when it verifies the signature, so a + in an object key must be sent " +
		"as %2B. cosproxy does that, so a proxy between cosproxy and COS decoded it, or another program signed the request."
	causeAlgorithm = "COS supports only sha1, so this response may not be from COS."
	causeKeyTime   = "KeyTime depends on the clock and the settings of the signer. For cosproxy it starts at a full minute and lasts " +
		"an hour, or until the credentials expire. This one differs: another program, such as an SDK, signed the request " +
		"and sent it past cosproxy, or q-sign-time was changed in transit."
	causeHash = "The method, the path, a parameter or a header differs; a response without FormatString does not show which. " +
		"The hash includes the session token: if the settings do not contain the token of the request, this " +
		"line always differs."
	causeCopy = "HttpString is the same, so its SHA-1 should be the same: the two strings are from different responses, or were changed when they were copied."
)

// pathCause distinguishes a raw + in the path from other differences.
func pathCause(here, there string) string {
	if strings.ReplaceAll(here, "+", " ") == strings.ReplaceAll(there, "+", " ") {
		return causePlus
	}
	return causePath
}

func parameterCause(_ string, c change) string {
	switch c {
	case dropped:
		return "A proxy removed the parameter, or the application did not send it."
	case added:
		return "A proxy added the parameter, or the URL given here lacks it."
	}
	return "A proxy changed the value, often by decoding and encoding it again (+ and %20, or double encoding), " +
		"or the application sent another value."
}

func headerCause(key string, c change) string {
	switch {
	case key == "host":
		return "A proxy, a CDN or a custom domain in front of the bucket rewrote Host after the request was signed, " +
			"or the request was signed for another bucket, region or endpoint."
	case key == "content-length":
		return "The body had another length. Set it here with -H 'Content-Length: N'; if it is correct, a proxy " +
			"changed the body or its framing."
	case key+"=" == tokenPair && c == dropped:
		return "The request lacked the session token. SecretId, SecretKey and token belong together."
	case key+"=" == tokenPair:
		return "The request had the token of other credentials. SecretId, SecretKey and token belong together; cosproxy takes them from one fetch."
	case c == dropped:
		return "A proxy removed the header, or the signer did not sign it, or the application did not send it."
	case c == added:
		return "The signature covers this header. Add it here with -H; if the application did not send it, " +
			"it was added before the request was signed."
	}
	return "A proxy changed the header after the request was signed, or the application sent another value."
}
