package cosemu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// stsVersion is the version of the STS API.
const stsVersion = "2018-08-13"

// stsError is an error response in the form of STS, which has the status 200.
type stsError struct{ Code, Message string }

func (e *stsError) Error() string { return e.Code + ": " + e.Message }

func stsErrorf(code, format string, args ...any) *stsError {
	return &stsError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func missingParameter(name string) *stsError {
	return stsErrorf("MissingParameter", "The request is missing a required parameter `%s`.", name)
}

// stsResponse is the body of every STS response.
type stsResponse struct {
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
	call, stsErr := readSTSCall(w, r)
	s.record.stsCall(call.stsRequest)
	if s.applySourceFault(w, r, &s.faults.sts, call.Action, writeSTSError) {
		return
	}
	var creds *Credentials
	if stsErr == nil {
		creds, stsErr = s.handleSTS(call)
	}
	if stsErr != nil {
		writeSTSError(w, 0, stsErr.Code, stsErr.Message)
		return
	}
	writeSTS(w, http.StatusOK, stsResponse{
		Credentials: &stsCredentials{Token: creds.Token, TmpSecretID: creds.SecretID, TmpSecretKey: creds.SecretKey},
		ExpiredTime: creds.expires.Unix(),
		Expiration:  creds.expires.UTC().Format(time.RFC3339),
	})
}

// handleSTS issues the credentials that a call asks for.
func (s *Server) handleSTS(call stsCall) (*Credentials, *stsError) {
	if call.unsigned {
		return s.webIdentity(call)
	}
	caller, err := s.verifySTS(call)
	switch {
	case err != nil:
		return nil, err
	case call.version != stsVersion:
		return nil, stsErrorf("NoSuchVersion", "The API version %s is not available.", call.version)
	case call.Region == "":
		return nil, missingParameter("Region")
	case call.Action == "GetFederationToken":
		return s.federationToken(call, caller)
	case call.Action == "AssumeRole":
		return s.assumeRole(call, caller)
	}
	return nil, stsErrorf("InvalidAction", "The request action=%s is invalid or not found.", call.Action)
}

func writeSTSError(w http.ResponseWriter, status int, code, message string) {
	response := stsResponse{}
	if code != "" {
		response.Error = &stsError{code, message}
	}
	if status == 0 {
		status = http.StatusOK
	}
	writeSTS(w, status, response)
}

func writeSTS(w http.ResponseWriter, status int, response stsResponse) {
	response.RequestID = newRequestID()
	writeJSON(w, status, map[string]stsResponse{"Response": response})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func newRequestID() string { return fmt.Sprintf("%x", randomBytes(16)) }

// duration parses DurationSeconds: fallback if it is missing, and at most limit.
func (c stsCall) duration(fallback, limit int) (seconds int, _ *stsError) {
	text := c.Params.Get("DurationSeconds")
	if text == "" {
		return fallback, nil
	}
	seconds, err := strconv.Atoi(text)
	switch {
	case err != nil || seconds < 1:
		return 0, stsErrorf("InvalidParameter.ParamError", "DurationSeconds must be a positive number")
	case seconds > limit:
		return 0, stsErrorf("InvalidParameter.OverTimeError", "DurationSeconds must be at most %d", limit)
	}
	return seconds, nil
}
