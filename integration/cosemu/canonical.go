package cosemu

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// escape is COS's UrlEncode: every byte outside A-Z a-z 0-9 - _ . ~ becomes %XX.
func escape(s string) string {
	extra := 0
	for i := range len(s) {
		if !unreserved(s[i]) {
			extra += 2
		}
	}
	if extra == 0 {
		return s
	}
	out := make([]byte, 0, len(s)+extra)
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// field is one header or parameter. The name is encoded and in lower case, as in the
// lists of the signature; the value is raw.
type field struct{ name, value string }

func canonicalName(name string) string { return strings.ToLower(escape(name)) }

// wireHeaders returns the headers of r as COS reads them, with those that net/http
// removes from the header map.
func wireHeaders(r *http.Request) []field {
	fields := make([]field, 0, len(r.Header)+2)
	fields = append(fields, field{"host", r.Host})
	for name, values := range r.Header {
		for _, value := range values {
			if name == "X-Cos-Copy-Source" { // COS reads a raw "+" as a blank, as in the path
				value = strings.ReplaceAll(value, "+", " ")
			}
			fields = append(fields, field{canonicalName(name), value})
		}
	}
	for _, coding := range r.TransferEncoding {
		fields = append(fields, field{"transfer-encoding", coding})
	}
	return fields
}

// wireParams returns the parameters that a signature can cover: all but the seven of a
// presigned URL's signature.
func wireParams(query params, presigned bool) []field {
	fields := make([]field, 0, len(query))
	for _, p := range query {
		if presigned && slices.Contains(authorizationFields, p.name) {
			continue
		}
		fields = append(fields, field{canonicalName(p.name), p.value})
	}
	return fields
}

// canonicalize selects the listed fields in the order of the signature (by name, then
// by value, as the Go SDK orders repeated ones). It returns the list of names and the
// canonical string. An empty list contains the empty name, which only parameters can
// have: the Go SDK signs "?=a" that way.
func canonicalize(fields []field, list string) (names, text string) {
	listed := strings.Split(list, ";")
	picked := slices.DeleteFunc(slices.Clone(fields), func(f field) bool {
		return !slices.Contains(listed, f.name)
	})
	slices.SortFunc(picked, func(a, b field) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
	})
	var namesOut, textOut strings.Builder
	for i, f := range picked {
		if i > 0 {
			namesOut.WriteByte(';')
			textOut.WriteByte('&')
		}
		namesOut.WriteString(f.name)
		textOut.WriteString(f.name)
		textOut.WriteByte('=')
		textOut.WriteString(escape(f.value))
	}
	return namesOut.String(), textOut.String()
}

// signKey derives the SignKey of a time window from the SecretKey.
func signKey(secretKey, keyTime string) string { return hmacSHA1(secretKey, keyTime) }

// stringToSign is the message of the signature's HMAC.
func stringToSign(signTime, formatString string) string {
	sum := sha1.Sum([]byte(formatString))
	return "sha1\n" + signTime + "\n" + hex.EncodeToString(sum[:]) + "\n"
}

func hmacSHA1(key, message string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}
