package cosemu

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxForm is the most that an STS call's body may have.
	maxForm = 1 << 20
	// maxSTSSkew is how far a call's Timestamp may be off.
	maxSTSSkew = 5 * time.Minute
)

// verifySTS checks the HmacSHA1 request signature of the API 3.0 v1 scheme and
// returns the parameters.
func (s *Server) verifySTS(w http.ResponseWriter, r *http.Request) (url.Values, *stsError) {
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, stsErrorf("InvalidParameter", "STS takes POST / with a form")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return nil, stsErrorf("InvalidParameter", "the body cannot be read")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, stsErrorf("InvalidParameter", "the body is not a form")
	}
	for name, values := range form {
		if len(values) != 1 {
			return nil, stsErrorf("InvalidParameter", "%s is given more than once", name)
		}
	}
	secretID := form.Get("SecretId")
	key := s.keys.get(secretID)
	switch {
	case key == nil:
		return nil, stsErrorf("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct.")
	case key.Token != "":
		return nil, stsErrorf("FailedOperation.TempKeyNotAllowed", "GetFederationToken takes long-lived keys only")
	case subtle.ConstantTimeCompare([]byte(form.Get("Signature")), []byte(stsSignature(key.SecretKey, r.Host, form))) != 1:
		return nil, stsErrorf("AuthFailure.SignatureFailure", "The provided credentials could not be validated. Please check your signature is correct.")
	}
	timestamp, err := strconv.ParseInt(form.Get("Timestamp"), 10, 64)
	if off := s.options.Now().Sub(time.Unix(timestamp, 0)).Abs(); err != nil || off > maxSTSSkew {
		return nil, stsErrorf("AuthFailure.SignatureExpire", "The provided signature has expired.")
	}
	return form, nil
}

// stsSignature signs the parameters sorted by name and unencoded, after method,
// host with port, and path.
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
