package signer_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// verifySent verifies a signed request like a server: from the bytes of its head, without code of
// the package.
func verifySent(head, secretKey string) error {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target, protocol, _ := strings.Cut(rest, " ")
	if protocol != "HTTP/1.1" {
		return fmt.Errorf("request line %q", lines[0])
	}
	rawPath, rawQuery, _ := strings.Cut(target, "?")
	path, err := url.PathUnescape(rawPath)
	if err != nil {
		return err
	}
	headers := map[string][]string{}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("header line %q", line)
		}
		name = strings.ToLower(name)
		headers[name] = append(headers[name], strings.Trim(value, " \t"))
	}
	if len(headers["authorization"]) != 1 || len(headers["x-cos-security-token"]) > 1 {
		return errors.New("not exactly one Authorization, or more than one token")
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(headers["authorization"][0], "&") {
		key, value, _ := strings.Cut(field, "=")
		fields[key] = value
	}

	for name := range headers {
		listed := slices.Contains(strings.Split(fields["q-header-list"], ";"), encode(name, true))
		mustBe := name == "host" || name == "content-length" || name == "content-type" || name == "content-md5" || name == "range" ||
			strings.HasPrefix(name, "x-cos-") || strings.HasPrefix(name, "x-ci-")
		mustNotBe := slices.Contains([]string{"authorization", "connection", "expect", "transfer-encoding", "user-agent", "accept-encoding"}, name)
		if mustBe && !listed || mustNotBe && listed {
			return fmt.Errorf("header %s is on the wire, signed: %t", name, listed)
		}
	}
	headerPairs, err := pairsOf(headers, fields["q-header-list"])
	if err != nil {
		return err
	}
	params := map[string][]string{}
	for piece := range strings.SplitSeq(rawQuery, "&") {
		if piece == "" {
			continue
		}
		rawKey, rawValue, _ := strings.Cut(piece, "=")
		key, keyErr := url.QueryUnescape(rawKey)
		value, valueErr := url.QueryUnescape(rawValue)
		if keyErr != nil || valueErr != nil {
			return errors.Join(keyErr, valueErr)
		}
		key = encode(key, true)
		params[key] = append(params[key], value)
		if !slices.Contains(strings.Split(fields["q-url-param-list"], ";"), key) {
			return fmt.Errorf("parameter %q is on the wire but not signed", key)
		}
	}
	paramPairs, err := pairsOf(params, fields["q-url-param-list"])
	if err != nil {
		return err
	}
	httpString := strings.ToLower(method) + "\n" + path + "\n" + paramPairs + "\n" + headerPairs + "\n"
	stringToSign := fmt.Sprintf("sha1\n%s\n%x\n", fields["q-sign-time"], sha1.Sum([]byte(httpString)))
	signature := hmacHex(hmacHex(secretKey, fields["q-key-time"]), stringToSign)
	if fields["q-signature"] != signature {
		return fmt.Errorf("the signature does not match %q", httpString)
	}
	return nil
}

// pairsOf returns key=value&key=value for a list of encoded keys. Each must be present as often
// as it is listed.
func pairsOf(values map[string][]string, list string) (string, error) {
	if list == "" && len(values[""]) == 0 {
		return "", nil
	}
	var pairs []string
	keys := strings.Split(list, ";")
	if !slices.IsSorted(keys) {
		return "", fmt.Errorf("the list %q is not sorted", list)
	}
	for _, key := range slices.Compact(slices.Clone(keys)) {
		var found []string
		for name, v := range values {
			if name == key || encode(name, true) == key { // header names as they are, parameters encoded
				found = append(found, v...)
			}
		}
		slices.Sort(found)
		listed := 0
		for _, k := range keys {
			if k == key {
				listed++
			}
		}
		if len(found) != listed {
			return "", fmt.Errorf("%q is listed %d times and on the wire %d times", key, listed, len(found))
		}
		for _, value := range found {
			pairs = append(pairs, key+"="+encode(value, false))
		}
	}
	return strings.Join(pairs, "&"), nil
}

func encode(s string, key bool) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	if key {
		s = strings.ToLower(s)
	}
	return s
}

func hmacHex(key, message string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}
