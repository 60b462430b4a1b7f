package main

import (
	"slices"
	"strings"

	"cosproxy/signer"
)

// difference is one between this side and COS's, fit to be shown.
type difference struct{ where, here, there, cause string }

// differing returns nil for texts that do not.
func differing(where, here, there, cause string) *difference {
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

// differingPair returns the first pair that differs between two sorted lists of
// key=value, or nil.
func differingPair(where, here, there string, cause func(key string, c change) string) *difference {
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
