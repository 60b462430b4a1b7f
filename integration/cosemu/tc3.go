package cosemu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tc3Form is the syntax of Authorization in API 3.0's scheme TC3-HMAC-SHA256.
var tc3Form = regexp.MustCompile(`^TC3-HMAC-SHA256 Credential=([^/, ]+)/([0-9-]{10})/([a-z]+)/tc3_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$`)

// tc3Signature is the signature of a call in JSON.
type tc3Signature struct {
	secretID, token string
	date            string
	canonical       string // canonical request
	signature       string // in hex
}

// readTC3 parses the signature of a call. Content-Type and Host must be signed; the session
// token need not be.
func readTC3(r *http.Request, body []byte) (*tc3Signature, error) {
	parts := tc3Form.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return nil, errors.New("the field Authorization is not TC3-HMAC-SHA256 Credential=<SecretId>/<date>/<service>/tc3_request, SignedHeaders=…, Signature=…")
	}
	if parts[3] != "sts" {
		return nil, errors.New("the signature is for another service than sts")
	}
	names := strings.Split(parts[4], ";")
	if !slices.IsSorted(names) || !slices.Contains(names, "content-type") || !slices.Contains(names, "host") {
		return nil, errors.New("SignedHeaders must be sorted, with content-type and host")
	}
	lines := []string{r.Method, "/", ""}
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		lines = append(lines, name+":"+strings.ToLower(strings.TrimSpace(value)))
	}
	lines = append(lines, "", parts[4], hexSHA256(string(body)))
	return &tc3Signature{
		secretID: parts[1], date: parts[2], signature: parts[5],
		token: r.Header.Get("X-Tc-Token"), canonical: strings.Join(lines, "\n"),
	}, nil
}

// sign returns the signature of the call by secretKey; empty if the date of the signature
// is not that of the timestamp, in seconds.
func (s *tc3Signature) sign(secretKey, timestamp string) string {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Unix(seconds, 0).UTC().Format(time.DateOnly) != s.date {
		return ""
	}
	text := strings.Join([]string{"TC3-HMAC-SHA256", timestamp, s.date + "/sts/tc3_request", hexSHA256(s.canonical)}, "\n")
	key := "TC3" + secretKey
	for _, part := range []string{s.date, "sts", "tc3_request"} {
		key = macSHA256(key, part)
	}
	return hex.EncodeToString([]byte(macSHA256(key, text)))
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func macSHA256(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return string(mac.Sum(nil))
}
