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

// verifySTS verifies the HmacSHA1 request signature of the API 3.0 v1 scheme and
// returns the credentials of the caller.
func (s *Server) verifySTS(call stsCall) (*Credentials, *stsError) {
	creds := s.credentials.get(call.Params.Get("SecretId"))
	switch {
	case creds == nil:
		return nil, stsErrorf("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct.")
	case creds.Token != "":
		return nil, stsErrorf("FailedOperation.TempKeyNotAllowed", "%s accepts long-lived credentials only", call.Action)
	case subtle.ConstantTimeCompare([]byte(call.Params.Get("Signature")), []byte(stsSignature(creds.SecretKey, call.host, call.Params))) != 1:
		return nil, stsErrorf("AuthFailure.SignatureFailure", "The provided credentials could not be validated. Please check your signature is correct.")
	}
	return creds, s.checkTimestamp(call)
}

func (s *Server) checkTimestamp(call stsCall) *stsError {
	timestamp, err := strconv.ParseInt(call.timestamp, 10, 64)
	if off := s.options.now().Sub(time.Unix(timestamp, 0)).Abs(); err != nil || off > maxSTSSkew {
		return stsErrorf("AuthFailure.SignatureExpire", "The provided signature has expired.")
	}
	return nil
}

// stsSignature signs the parameters, sorted by name and not encoded, after the method,
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
