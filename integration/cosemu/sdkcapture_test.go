package cosemu_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// captures are requests of official SDKs (testdata/captures.json).
type captures struct {
	SecretID  string `json:"secret_id"`
	SecretKey string `json:"secret_key"`
	Token     string
	Requests  []capture
	Presigned []capture
	STS       []struct {
		ID, Host, Body string
		SecretID       string `json:"secret_id"`
		SecretKey      string `json:"secret_key"`
	}
	// STSTC3 is an AssumeRole with temporary credentials.
	STSTC3 tc3Call `json:"sts_tc3"`
}

type capture struct {
	ID, Generator, Method, Path, Query string
	Headers                            [][2]string
	BodyLen                            int `json:"body_len"`
	Authorization                      string
	Token                              bool
}

func readCaptures(t testing.TB) captures {
	t.Helper()
	text, err := os.ReadFile("testdata/captures.json")
	if err != nil {
		t.Fatal(err)
	}
	var c captures
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// wire returns the raw capture, with a body of zeros.
func (c capture) wire() string {
	var b strings.Builder
	target := c.Path
	if c.Query != "" {
		target += "?" + c.Query
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", c.Method, target)
	chunked := false
	for _, h := range c.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		chunked = chunked || strings.EqualFold(h[0], "Transfer-Encoding")
	}
	if c.Authorization != "" {
		fmt.Fprintf(&b, "Authorization: %s\r\n", c.Authorization)
	}
	b.WriteString("\r\n")
	body := strings.Repeat("\x00", c.BodyLen)
	if chunked {
		body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", c.BodyLen, body)
	}
	return b.String() + body
}

// startTime returns the start of the signing window.
func (c capture) startTime(t *testing.T) time.Time {
	t.Helper()
	text := c.Authorization + "&" + strings.ReplaceAll(c.Query, "%3B", ";")
	_, text, _ = strings.Cut(text, "q-sign-time=")
	var start int64
	if _, err := fmt.Sscanf(text, "%d;", &start); err != nil {
		t.Fatalf("%s: no q-sign-time", c.ID)
	}
	return time.Unix(start, 0)
}

// clock is a clock that a test sets.
type clock struct{ now time.Time }

func startForCaptures(t *testing.T, c captures, now *clock, token string) *cosemu.Server {
	srv := start(t, cosemu.Options{Region: "ap-beijing"}.WithClock(func() time.Time { return now.now }))
	if err := srv.AddCredentials(cosemu.Credentials{SecretID: c.SecretID, SecretKey: c.SecretKey, Token: token}); err != nil {
		t.Fatal(err)
	}
	return srv
}

// authErrorCodes are the error codes of requests that fail before they are executed.
var authErrorCodes = []string{
	"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "RequestTimeTooSkewed",
}

func TestSignature_SDKCaptures(t *testing.T) {
	c := readCaptures(t)
	for _, v := range c.Requests {
		t.Run(v.ID, func(t *testing.T) {
			srv := startForCaptures(t, c, &clock{v.startTime(t)}, c.Token)
			if a := raw(t, srv.COSAddr(), v.wire()); slices.Contains(authErrorCodes, a.code()) || a.status == http.StatusForbidden {
				t.Errorf("%s: %d\n%s", v.Generator, a.status, a.body)
			}
		})
	}
}

func TestSignature_PresignedCaptures(t *testing.T) {
	c := readCaptures(t)
	for _, v := range c.Presigned {
		t.Run(v.ID, func(t *testing.T) {
			token := ""
			if v.Token {
				token = c.Token
			} else if strings.Contains(v.Query, "x-cos-security-token=") {
				// The Node SDK puts the token in raw: its "+" arrives as a space.
				token = strings.ReplaceAll(c.Token, "+", " ")
			}
			srv := startForCaptures(t, c, &clock{v.startTime(t)}, token)
			if a := raw(t, srv.COSAddr(), v.wire()); slices.Contains(authErrorCodes, a.code()) || a.status == http.StatusForbidden {
				t.Errorf("%s: %d\n%s", v.Generator, a.status, a.body)
			}
		})
	}
}

// TestSignature_FlippedBit flips one bit of each byte in turn of the signed parts and
// the signature.
func TestSignature_FlippedBit(t *testing.T) {
	c := readCaptures(t)
	v := c.Requests[slices.IndexFunc(c.Requests, func(v capture) bool { return v.ID == "wire-go-002" })]
	now := &clock{v.startTime(t)}
	srv := startForCaptures(t, c, now, c.Token)
	wire := v.wire()
	if a := raw(t, srv.COSAddr(), wire); a.status != http.StatusOK {
		t.Fatalf("the request itself: %d\n%s", a.status, a.body)
	}
	head, _, _ := strings.Cut(wire, "\r\n\r\n")
	unsigned := regexp.MustCompile(`(?m) HTTP/1\.1\r$|^(User-Agent|Accept-Encoding): .*$`).FindAllStringIndex(head, -1)
	for i := range head {
		if slices.ContainsFunc(unsigned, func(span []int) bool { return span[0] <= i && i < span[1] }) {
			continue
		}
		flipped := []byte(wire)
		flipped[i] ^= 1
		a, err := tryRaw(srv.COSAddr(), string(flipped))
		if err == nil && a.status < 400 {
			t.Errorf("byte %d %q: %d for\n%s", i, wire[i], a.status, flipped)
		}
	}
}
