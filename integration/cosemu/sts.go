package cosemu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

const (
	// maxPolicy is the limit in characters for a CAM policy.
	maxPolicy = 6144
	// defaultDuration and maxDuration bound GetFederationToken, in seconds.
	defaultDuration = 1800
	maxDuration     = 129600
)

// stsError is an answer in STS's error form, which comes with HTTP 200.
type stsError struct{ Code, Message string }

func (e *stsError) Error() string { return e.Code + ": " + e.Message }

func stsErrorf(code, format string, args ...any) *stsError {
	return &stsError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// stsAnswer is the body of every STS answer.
type stsAnswer struct {
	Error       *stsError       `json:",omitempty"`
	Credentials *stsCredentials `json:",omitempty"`
	ExpiredTime int64           `json:",omitempty"`
	Expiration  string          `json:",omitempty"`
	RequestID   string          `json:"RequestId"`
}

type stsCredentials struct {
	Token        string
	TmpSecretID  string `json:"TmpSecretId"`
	TmpSecretKey string
}

func (s *Server) serveSTS(w http.ResponseWriter, r *http.Request) {
	fault := s.faults.takeSTS()
	if !s.faults.wait(r, fault.Delay) || fault.Drop {
		s.record.sts(false)
		panic(http.ErrAbortHandler)
	}
	if fault.active() {
		s.record.sts(false)
		answerFault(w, fault)
		return
	}
	key, err := s.federationToken(w, r)
	answer := stsAnswer{RequestID: fmt.Sprintf("%x", randomBytes(16))}
	if err != nil {
		answer.Error = err
	} else {
		s.keys.add(key)
		answer.Credentials = &stsCredentials{Token: key.Token, TmpSecretID: key.SecretID, TmpSecretKey: key.SecretKey}
		answer.ExpiredTime = key.Expires.Unix()
		answer.Expiration = key.Expires.UTC().Format(time.RFC3339)
	}
	s.record.sts(err == nil)
	writeSTS(w, http.StatusOK, answer)
}

func answerFault(w http.ResponseWriter, f STSFault) {
	status := f.Status
	if status == 0 {
		status = http.StatusOK
	}
	if f.Body != nil {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(*f.Body))
		return
	}
	answer := stsAnswer{RequestID: "fault"}
	if f.Code != "" {
		answer.Error = &stsError{f.Code, f.Message}
	}
	writeSTS(w, status, answer)
}

func writeSTS(w http.ResponseWriter, status int, answer stsAnswer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]stsAnswer{"Response": answer})
}

// federationName is what Name may be (GetFederationToken: letters, and the SDK's
// own name has hyphens).
var federationName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// federationToken makes the key that a GetFederationToken call asks for.
func (s *Server) federationToken(w http.ResponseWriter, r *http.Request) (*Key, *stsError) {
	form, err := s.verifySTS(w, r)
	if err != nil {
		return nil, err
	}
	switch {
	case form.Get("Action") != "GetFederationToken":
		return nil, stsErrorf("InvalidAction", "The request action=%s is invalid or not found.", form.Get("Action"))
	case form.Get("Version") != "2018-08-13":
		return nil, stsErrorf("NoSuchVersion", "The API version %s is not available.", form.Get("Version"))
	case !federationName.MatchString(form.Get("Name")):
		return nil, stsErrorf("InvalidParameter.ParamError", "Name must be letters")
	}
	key := &Key{SecretID: newSecretID(), SecretKey: newSecretKey(), Token: newToken()}
	if key.Policy, key.policy, err = readPolicy(form.Get("Policy")); err != nil {
		return nil, err
	}
	life, err := s.keyLife(form.Get("DurationSeconds"))
	if err != nil {
		return nil, err
	}
	key.Expires = s.options.Now().Add(life)
	return key, nil
}

// readPolicy decodes the policy, which callers URL-encode once more than the
// form does.
func readPolicy(encoded string) (string, *policy, *stsError) {
	text, err := url.QueryUnescape(encoded)
	switch {
	case encoded == "":
		return "", nil, stsErrorf("MissingParameter", "The request is missing a required parameter `Policy`.")
	case err != nil:
		return "", nil, stsErrorf("InvalidParameter.StrategyFormatError", "Policy is not URL-encoded: %s", err)
	case len(text) > maxPolicy:
		return "", nil, stsErrorf("InvalidParameter.PolicyTooLong", "the policy has %d characters, more than %d", len(text), maxPolicy)
	}
	p, err := parsePolicy(text)
	if err != nil {
		return "", nil, stsErrorf("InvalidParameter.StrategyFormatError", "Policy: %s", err)
	}
	return text, p, nil
}

func (s *Server) keyLife(asked string) (time.Duration, *stsError) {
	seconds := defaultDuration
	if asked != "" {
		var err error
		seconds, err = strconv.Atoi(asked)
		if err != nil || seconds < 1 {
			return 0, stsErrorf("InvalidParameter.ParamError", "DurationSeconds must be a positive number")
		}
	}
	if seconds > maxDuration {
		return 0, stsErrorf("InvalidParameter.OverTimeError", "DurationSeconds must be at most %d", maxDuration)
	}
	if s.options.KeyLife > 0 {
		return s.options.KeyLife, nil
	}
	return time.Duration(seconds) * time.Second, nil
}
