package cosemu

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// verifySTS verifies the request signature and the session token, and returns the
// credentials of the caller.
func (s *Server) verifySTS(call stsCall) (*Credentials, *stsError) {
	creds := s.credentials.get(call.secretID())
	switch {
	case creds == nil:
		return nil, stsErrorf("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct.")
	case !call.isSignedBy(creds.SecretKey):
		return nil, stsErrorf("AuthFailure.SignatureFailure", "The provided credentials could not be validated. Please check your signature is correct.")
	case creds.Token != "" && call.Action != "AssumeRole":
		return nil, stsErrorf("FailedOperation.TempKeyNotAllowed", "%s accepts long-lived credentials only", call.Action)
	case subtle.ConstantTimeCompare([]byte(call.token()), []byte(creds.Token)) != 1:
		return nil, stsErrorf("AuthFailure.TokenFailure", "The session token does not belong to the SecretId.")
	case creds.expired(s.options.now()):
		return nil, stsErrorf("AuthFailure.TokenFailure", "The credentials have expired.")
	}
	return creds, s.checkTimestamp(call)
}

// secretID returns the SecretId that a signed call claims to have.
func (c stsCall) secretID() string {
	if c.tc3 != nil {
		return c.tc3.secretID
	}
	return c.Params.Get("SecretId")
}

// token returns the session token of a signed call. The v1 scheme signs it.
func (c stsCall) token() string {
	if c.tc3 != nil {
		return c.tc3.token
	}
	return c.Params.Get("Token")
}

// isSignedBy verifies the signature of a signed call.
func (c stsCall) isSignedBy(secretKey string) bool {
	got, want := c.Params.Get("Signature"), stsSignature(secretKey, c.host, c.Params)
	if c.tc3 != nil {
		got, want = c.tc3.signature, c.tc3.sign(secretKey, c.timestamp)
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

func (s *Server) checkTimestamp(call stsCall) *stsError {
	timestamp, err := strconv.ParseInt(call.timestamp, 10, 64)
	if off := s.options.now().Sub(time.Unix(timestamp, 0)).Abs(); err != nil || off > maxSTSSkew {
		return stsErrorf("AuthFailure.SignatureExpire", "The provided signature has expired.")
	}
	return nil
}

// stsSignature is the HmacSHA1 signature of the v1 scheme. It signs the parameters, sorted by name and not encoded, after the method,
// the host with its port, and the path.
func stsSignature(secretKey, host string, form url.Values) string {
	var pairs []string
	for name, values := range form {
		if name != "Signature" {
			pairs = append(pairs, name+"="+values[0])
		}
	}
	slices.SortFunc(pairs, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	})
	mac := hmac.New(sha1.New, []byte(secretKey))
	mac.Write([]byte("POST" + host + "/?" + strings.Join(pairs, "&")))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
