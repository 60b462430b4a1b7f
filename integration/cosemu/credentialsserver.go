package cosemu

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	credentialsServerPath = "/sts"
	// credentialsServerDuration is the lifetime of the issued credentials in seconds,
	// as in the demos of the STS SDK.
	credentialsServerDuration = 1800
)

// credentialsServerResponse has the shape of the STS SDK's demos.
type credentialsServerResponse struct {
	Credentials struct {
		TmpSecretID  string `json:"tmpSecretId"`
		TmpSecretKey string `json:"tmpSecretKey"`
		SessionToken string `json:"sessionToken"`
	} `json:"credentials"`
	StartTime   int64  `json:"startTime"`
	ExpiredTime int64  `json:"expiredTime"`
	Expiration  string `json:"expiration"`
	RequestID   string `json:"requestId"`
}

// credentialsServerError is the body of an error response.
type credentialsServerError struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`
}

// serveCredentials is the credentials server: GET /sts with the query parameters
// bucket and region, each at most once, and any number of prefix and action.
func (s *Server) serveCredentials(w http.ResponseWriter, r *http.Request) {
	s.record.credentialsServerCall()
	if s.applySourceFault(w, r, &s.faults.credentialsServer, "", writeCredentialsServerError) {
		return
	}
	switch {
	case r.URL.Path != credentialsServerPath:
		writeCredentialsServerError(w, http.StatusNotFound, "NotFound", "credentials are at "+credentialsServerPath)
		return
	case r.Method != http.MethodGet:
		writeCredentialsServerError(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "use GET")
		return
	case !s.hasBearerToken(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeCredentialsServerError(w, http.StatusUnauthorized, "Unauthorized", "the bearer token is missing or wrong")
		return
	}
	scope, problem := s.readScope(r.URL.RawQuery)
	if problem != "" {
		writeCredentialsServerError(w, http.StatusBadRequest, "InvalidParameter", problem)
		return
	}
	lifetime := s.lifetime(credentialsServerDuration)
	creds := s.issue(lifetime, rights{scope.policy()}, "")
	response := credentialsServerResponse{
		StartTime: creds.expires.Add(-lifetime).Unix(), ExpiredTime: creds.expires.Unix(),
		Expiration: creds.expires.UTC().Format(time.RFC3339), RequestID: newRequestID(),
	}
	response.Credentials.TmpSecretID, response.Credentials.TmpSecretKey = creds.SecretID, creds.SecretKey
	response.Credentials.SessionToken = creds.Token
	writeJSON(w, http.StatusOK, response)
}

func writeCredentialsServerError(w http.ResponseWriter, status int, code, message string) {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, credentialsServerError{code, message, newRequestID()})
}

func (s *Server) hasBearerToken(r *http.Request) bool {
	if s.options.CredentialsServerToken == "" {
		return true
	}
	fields := r.Header["Authorization"]
	return len(fields) == 1 && subtle.ConstantTimeCompare([]byte(fields[0]), []byte("Bearer "+s.options.CredentialsServerToken)) == 1
}

// requestedScope is the scope of the credentials that a request asks for.
type requestedScope struct {
	bucket, region    string
	prefixes, actions []string
}

// actionPattern is the syntax of a COS action in policies.
var actionPattern = regexp.MustCompile(`^name/cos:([A-Za-z]+|[A-Za-z]*\*)$`)

// readScope parses the query. The defaults are all keys and actions of the first
// bucket. problem is empty if the query is valid.
func (s *Server) readScope(query string) (scope requestedScope, problem string) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return scope, "the query cannot be read"
	}
	for name, all := range values {
		switch {
		case !slices.Contains([]string{"bucket", "region", "prefix", "action"}, name):
			return scope, "unknown parameter " + name
		case slices.Contains(all, ""):
			return scope, name + " is empty"
		case len(all) > 1 && (name == "bucket" || name == "region"):
			return scope, name + " is given more than once"
		}
	}
	scope = requestedScope{values.Get("bucket"), values.Get("region"), values["prefix"], values["action"]}
	scope.setDefaults(s.options)
	return scope, s.checkScope(scope)
}

func (k *requestedScope) setDefaults(o Options) {
	if k.bucket == "" {
		k.bucket = o.Buckets[0]
	}
	if k.region == "" {
		k.region = o.Region
	}
	if k.prefixes == nil {
		k.prefixes = []string{"*"}
	}
	if k.actions == nil {
		k.actions = []string{"name/cos:*"}
	}
}

func (s *Server) checkScope(k requestedScope) (problem string) {
	if !slices.Contains(s.options.Buckets, k.bucket) || k.region != s.options.Region {
		return "no bucket " + k.bucket + " in " + k.region
	}
	for _, prefix := range k.prefixes {
		if strings.Contains(strings.TrimSuffix(prefix, "*"), "*") {
			return "prefix has a * before its end"
		}
	}
	for _, action := range k.actions {
		if !actionPattern.MatchString(action) {
			return "action " + action + " is not name/cos:<Action>"
		}
	}
	return ""
}

// policy allows the actions on the prefixes. Actions on the bucket itself are allowed
// on the bucket, except listings: they are judged by the prefix that they ask for, and
// without one they would show every key.
func (k requestedScope) policy() *policy {
	bucket := "qcs::cos:" + k.region + ":uid/" + k.bucket[strings.LastIndexByte(k.bucket, '-')+1:] + ":" + k.bucket + "/"
	var resources stringList
	for _, prefix := range k.prefixes {
		resources = append(resources, bucket+prefix)
	}
	p := &policy{Version: "2.0", Statement: []statement{{Effect: "allow", Action: k.actions, Resource: resources}}}
	onBucket := slices.DeleteFunc(slices.Clone(k.actions), func(action string) bool {
		return strings.HasSuffix(action, "*") || matchAction(action, "cos", "GetBucket") || matchAction(action, "cos", "ListMultipartUploads")
	})
	if len(onBucket) > 0 {
		p.Statement = append(p.Statement, statement{Effect: "allow", Action: onBucket, Resource: stringList{bucket}})
	}
	return p
}
