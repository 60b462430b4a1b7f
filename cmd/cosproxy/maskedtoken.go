package main

import (
	"net/url"
	"strings"

	"cosproxy/signer"
)

const tokenPair = "x-cos-security-token="

// causeMasked is for a hash that differs where the token cannot be compared.
const causeMasked = "HttpString is the same as far as it can be seen. cosproxy masks the session token in COS's answer: the request was " +
	"signed with another token of the same length, or the two strings are not from one answer."

// token is the session token in FormatString, decoded. masked is it as it stands
// there if cosproxy, which passed the answer on, has put * in its place.
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

// standIn is a token that is as long in an HttpString as the masked one.
func standIn(masked string) string { return strings.Repeat("x", len(masked)) }

// likeMasked is a line of headers with its token masked, if that is as long as the
// masked one.
func likeMasked(headers, masked string) string {
	token := pairValue(headers, tokenPair)
	if masked == "" || len(token) != len(masked) {
		return headers
	}
	return strings.Replace(headers, tokenPair+token, tokenPair+masked, 1)
}
