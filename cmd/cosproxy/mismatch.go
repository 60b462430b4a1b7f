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
	"os"
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

// maxAnswer bounds what is read of standard input, in bytes. The header of a
// request, and so FormatString, has at most 64 KiB, or three times that escaped.
const maxAnswer = 1 << 20

// readMismatch returns nil if in has nothing, is a terminal or the null device.
// The header that curl -i prints may stand before the document.
// It returns also when ctx ends, since a pipe that nobody closes has no end.
func readMismatch(ctx context.Context, in io.Reader) (*mismatch, error) {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice != 0 {
			return nil, nil //nolint:nilerr // without a standard input there is no answer
		}
	}
	var text []byte
	read := make(chan error, 1)
	go func() {
		var err error
		text, err = io.ReadAll(io.LimitReader(in, maxAnswer))
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

// adopt returns the key and the time to explain with, as near as the answer
// tells to those that its request was signed with. The token is taken from
// there only if the key at hand has none: that one may be the wrong one.
func (m *mismatch) adopt(creds signer.Credentials, now time.Time) (signer.Credentials, time.Time) {
	if token, masked := m.token(); creds.Token == "" {
		creds.Token = token
		if m.unknownToken = masked != ""; m.unknownToken {
			creds.Token = standIn(masked)
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
		here[3] = likeMasked(here[3], masked)
		d = cmp.Or(
			differing("HttpString, line 1, the method", here[0], there[0], causeMethod),
			differing("HttpString, line 2, the path", here[1], there[1], pathCause(here[1], there[1])),
			differingPair("HttpString, line 3, the parameter ", here[2], there[2], parameterCause),
			differingPair("HttpString, line 4, the header ", here[3], there[3], headerCause),
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
			differing("StringToSign, line 1, the algorithm", here[0], there[0], causeAlgorithm),
			differing("StringToSign, line 2, KeyTime", here[1], there[1], causeKeyTime),
			differing("StringToSign, line 3, the SHA-1 of HttpString", here[2], there[2], hash),
		)
	}
	return d
}
