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

// mismatch is COS's SignatureDoesNotMatch: what COS has computed from the
// request that it received. One of the two strings may be missing.
type mismatch struct {
	XMLName      xml.Name `xml:"Error"`
	Code         string
	Message      string
	StringToSign string
	FormatString string // HttpString, in COS's word

	unknownToken bool // it is masked, and the key at hand has none
}

// maxResponse bounds what is read of standard input, in bytes. The header of a
// request, and so FormatString, has at most 64 KiB, or three times that escaped.
const maxResponse = 1 << 20

// readMismatch returns nil if in has nothing, is a terminal or the null device.
// The header that curl -i prints may precede the document.
// It returns also when ctx ends, since a pipe that nobody closes has no end.
func readMismatch(ctx context.Context, in io.Reader) (*mismatch, error) {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice != 0 {
			return nil, nil //nolint:nilerr // without a standard input there is no response
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
			return nil, fmt.Errorf("standard input cannot be read: %w", err)
		}
	case <-ctx.Done():
		return nil, errors.New("it was stopped while it waited for the end of standard input; without an answer of COS write </dev/null")
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	m := new(mismatch)
	if err := xml.Unmarshal(text[max(0, bytes.IndexByte(text, '<')):], m); err != nil {
		return nil, fmt.Errorf("standard input is not an error document of COS: %w", err)
	}
	return m, m.check()
}

func (m *mismatch) check() error {
	_, whole := signer.HTTPLines(m.FormatString)
	switch {
	case m.StringToSign == "" && m.FormatString == "":
		return fmt.Errorf("COS's answer on standard input is %q, %q. It has neither StringToSign nor FormatString to compare with; "+
			"only SignatureDoesNotMatch has", m.Code, m.Message)
	case m.FormatString != "" && !whole:
		return errors.New("the FormatString on standard input has fewer than four lines: copy the whole answer")
	case m.StringToSign != "" && len(m.lines()) != 3:
		return errors.New("the StringToSign on standard input has not three lines: copy the whole answer")
	}
	return nil
}

// lines are those of StringToSign: algorithm, KeyTime and hash.
func (m *mismatch) lines() []string { return toSignLines(m.StringToSign) }

func toSignLines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }

// window returns the times in KeyTime, ok if there is one.
func (m *mismatch) window() (start, end time.Time, ok bool) {
	if m.StringToSign == "" {
		return start, end, false
	}
	from, to, _ := strings.Cut(m.lines()[1], ";")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	return time.Unix(first, 0), time.Unix(last, 0), err1 == nil && err2 == nil
}

// signingInputs returns the credentials and the time to explain with: those that the
// request was signed with, as far as COS's response shows them. The token is taken from
// there only if the key at hand has none: that one may be the wrong one.
func (m *mismatch) signingInputs(creds signer.Credentials, now time.Time) (signer.Credentials, time.Time) {
	if token, masked := m.token(); creds.Token == "" {
		creds.Token = token
		if m.unknownToken = masked != ""; m.unknownToken {
			creds.Token = placeholderToken(masked)
		}
	}
	if start, end, ok := m.window(); ok {
		now = start.Add(time.Minute) // Sign's windows begin a minute or two before
		if end.After(now) {
			creds.Expires = end
		}
	}
	return creds, now
}

// compare writes the first difference between e and what COS has computed, and
// returns the exit code.
func (m *mismatch) compare(w io.Writer, e signer.Explanation, now time.Time) int {
	if start, end, ok := m.window(); ok && (now.Before(start) || now.After(end)) {
		fmt.Fprintf(w, "\nNote: KeyTime lasts from %s to %s, which is not now. The answer is an old one, or a clock is wrong;\n"+
			"for a clock that is off COS has other answers (RequestTimeTooSkewed, \"Request has expired\").\n",
			start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	}
	d := m.firstDifference(e)
	if d == nil {
		if m.unknownToken {
			fmt.Fprintln(w, "\nNote: cosproxy has masked the session token in the answer, so neither it nor the SHA-1 of HttpString is compared.")
		}
		fmt.Fprintln(w, "\nNo difference: COS has read the request as it is explained here.\n"+
			"Then the SecretKey that signed does not belong to the SecretId, or the signature was changed on the way.")
		return exitOK
	}
	fmt.Fprintf(w, "\nThe first difference is in %s:\n  here: %s\n  COS:  %s\n%s", d.where, d.here, d.there, wrap(d.cause, "", 78))
	return exitFailure
}

// firstDifference goes through HttpString before StringToSign, which holds the
// former's hash.
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

// causeMasked is for a hash that differs where the token cannot be compared.
const causeMasked = "HttpString is the same as far as it can be seen. cosproxy masks the session token in COS's answer: the request was " +
	"signed with another token of the same length, or the two strings are not from one answer."

// token is the session token in FormatString, decoded. masked is its text
// there if cosproxy, which forwarded the response, has put * in its place.
func (m *mismatch) token() (token, masked string) {
	lines, _ := signer.HTTPLines(m.FormatString)
	value := pairValue(lines[3], tokenPair)
	if value != "" && strings.Trim(value, "*") == "" {
		return "", value
	}
	token, _ = url.PathUnescape(value)
	return token, ""
}

func pairValue(list, begin string) string {
	for pair := range strings.SplitSeq(list, "&") {
		if value, found := strings.CutPrefix(pair, begin); found {
			return value
		}
	}
	return ""
}

// placeholderToken is a token that is as long in an HttpString as the masked one.
func placeholderToken(masked string) string { return strings.Repeat("x", len(masked)) }

// maskHeaderToken is a line of headers with its token masked, if that is as long as the
// masked one.
func maskHeaderToken(headers, masked string) string {
	token := pairValue(headers, tokenPair)
	if masked == "" || len(token) != len(masked) {
		return headers
	}
	return strings.Replace(headers, tokenPair+token, tokenPair+masked, 1)
}

// difference is one between this side and COS's, fit to be shown.
type difference struct{ where, here, there, cause string }

// diffText returns nil for texts that do not.
func diffText(where, here, there, cause string) *difference {
	if here == there {
		return nil
	}
	return &difference{where, signer.Redact(here), signer.Redact(there), cause}
}

// change is what happened to a pair from this side to COS's.
type change int

const (
	altered change = iota
	dropped
	added
)

const missing = "(not there)"

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
	what := altered
	switch {
	case key == theirKey:
	case theirs[0] == "" || ours[0] != "" && key < theirKey:
		d.there, what = missing, dropped
	default:
		d.here, key, what = missing, theirKey, added
	}
	if what == altered && d.here == d.there {
		d.there += ", another value" // both are masked
	}
	d.where, d.cause = where+signer.Redact(key), cause(key, what)
	return d
}

// splitPairs leaves room for one more.
func splitPairs(list string) []string {
	if list == "" {
		return nil
	}
	return slices.Clip(strings.Split(list, "&"))
}

// The usual causes, line by line. Each goes on with what else it may be, since
// the request explained here is only what the caller says it was.
const (
	causeMethod = "A proxy on the way changed the method, or the application used another one than is explained here. " +
		"COS signs it in lower case."
	causePath = "COS signs the path as it arrives, percent-decoded once. It was encoded twice (%25), or a client or proxy " +
		"on the way tidied it: merged //, resolved . and .., decoded %2F; or the application's URL is another one."
	causePlus = "The path left with a raw +. COS reads that as a blank when it checks the signature, so a + in a key has to be sent " +
		"as %2B. cosproxy does so: a proxy between cosproxy and COS decoded it, or another program signed the request."
	causeAlgorithm = "COS knows sha1 alone, so this answer may be from something else than COS."
	causeKeyTime   = "KeyTime comes from the clock and the settings of whoever signed. cosproxy's begins with a minute and lasts " +
		"an hour, or to the end of the key. This one does not: another program, such as an SDK, made the signature " +
		"and its request passed cosproxy by, or q-sign-time was changed on the way."
	causeHash = "The method, the path, a parameter or a header differs; without FormatString the answer does not tell which. " +
		"A session token is part of it too: if the request was signed with one that the settings do not hold, this " +
		"line always differs."
	causeCopy = "HttpString is the same, so its SHA-1 should be: the two strings are not from one answer, or were changed in copying."
)

// pathCause tells a raw + in the path from other differences.
func pathCause(here, there string) string {
	if strings.ReplaceAll(here, "+", " ") == strings.ReplaceAll(there, "+", " ") {
		return causePlus
	}
	return causePath
}

func parameterCause(_ string, c change) string {
	switch c {
	case dropped:
		return "Something on the way dropped the parameter, or the application did not send it."
	case added:
		return "Something on the way added the parameter, or the URL explained here lacks it."
	}
	return "Something on the way changed the value, often by decoding and encoding it anew (+ and %20, or an encoding twice); " +
		"or the application sent another one."
}

func headerCause(key string, c change) string {
	switch {
	case key == "host":
		return "A proxy, a CDN or a domain of your own in front of the bucket rewrote Host after the signature, " +
			"or the request was signed for another bucket, region or endpoint."
	case key == "content-length":
		return "The body had another length. Tell it here with -H 'Content-Length: N'; if that is right, something on the way " +
			"changed or re-framed the body."
	case key+"=" == tokenPair && c == dropped:
		return "The request came without the session token of this key. Key and token belong together."
	case key+"=" == tokenPair:
		return "The request carried the token of another key. Key and token belong together; cosproxy takes both from one fetch."
	case c == dropped:
		return "Something on the way dropped the header, or whoever signed did not sign it, or the application did not send it."
	case c == added:
		return "The signature covers this header. Give it with -H here; if the application did not send it, " +
			"something before the signature added it."
	}
	return "Something on the way changed the header after it was signed, or the application sent another value."
}
