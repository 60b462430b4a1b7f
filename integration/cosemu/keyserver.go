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
	keyServerPath = "/sts"
	// keyServerDuration is the life of the key server's keys in seconds, as in the
	// demos of the STS SDK.
	keyServerDuration = 1800
)

// keyServerAnswer has the shape of the STS SDK's demos.
type keyServerAnswer struct {
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

// keyServerError is the key server's answer to what it refuses.
type keyServerError struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`
}

// serveKeys is the key server: GET /sts with the query parameters bucket and
// region, and prefix and action as often as needed.
func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	s.record.keyServerCall()
	if s.keyFault(w, r, &s.faults.keyServer, failKeyServer) {
		return
	}
	switch {
	case r.URL.Path != keyServerPath:
		failKeyServer(w, http.StatusNotFound, "NotFound", "keys are at "+keyServerPath)
		return
	case r.Method != http.MethodGet:
		failKeyServer(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "ask with GET")
		return
	case !s.knowsBearer(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		failKeyServer(w, http.StatusUnauthorized, "Unauthorized", "the bearer token is not the right one")
		return
	}
	asked, mistake := s.readKeyScope(r.URL.RawQuery)
	if mistake != "" {
		failKeyServer(w, http.StatusBadRequest, "InvalidParameter", mistake)
		return
	}
	life := s.life(keyServerDuration)
	key := s.issue(life, rights{asked.policy()})
	answer := keyServerAnswer{
		StartTime: key.Expires.Add(-life).Unix(), ExpiredTime: key.Expires.Unix(),
		Expiration: key.Expires.UTC().Format(time.RFC3339), RequestID: newRequestID(),
	}
	answer.Credentials.TmpSecretID, answer.Credentials.TmpSecretKey = key.SecretID, key.SecretKey
	answer.Credentials.SessionToken = key.Token
	writeJSON(w, http.StatusOK, answer)
}

func failKeyServer(w http.ResponseWriter, status int, code, message string) {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, keyServerError{code, message, newRequestID()})
}

func (s *Server) knowsBearer(r *http.Request) bool {
	if s.options.KeyServerToken == "" {
		return true
	}
	fields := r.Header["Authorization"]
	return len(fields) == 1 && subtle.ConstantTimeCompare([]byte(fields[0]), []byte("Bearer "+s.options.KeyServerToken)) == 1
}

// keyScope is what a key of the key server is asked to open.
type keyScope struct {
	bucket, region    string
	prefixes, actions []string
}

// keyAction is a COS action as policies write it.
var keyAction = regexp.MustCompile(`^name/cos:([A-Za-z]+|[A-Za-z]*\*)$`)

// readKeyScope reads the query; what it leaves out is everything, in the first
// bucket. The mistake is "" when there is none.
func (s *Server) readKeyScope(query string) (scope keyScope, mistake string) {
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
	scope = keyScope{values.Get("bucket"), values.Get("region"), values["prefix"], values["action"]}
	scope.fillIn(s.options)
	return scope, s.checkKeyScope(scope)
}

func (k *keyScope) fillIn(o Options) {
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

func (s *Server) checkKeyScope(k keyScope) (mistake string) {
	if !slices.Contains(s.options.Buckets, k.bucket) || k.region != s.options.Region {
		return "no bucket " + k.bucket + " in " + k.region
	}
	for _, prefix := range k.prefixes {
		if strings.Contains(strings.TrimSuffix(prefix, "*"), "*") {
			return "prefix has a * before its end"
		}
	}
	for _, action := range k.actions {
		if !keyAction.MatchString(action) {
			return "action " + action + " is not name/cos:<Action>"
		}
	}
	return ""
}

// policy grants the actions on the prefixes, and those that are about the bucket
// as such on the bucket. Listings are not among these: they are judged by the
// prefix they ask for, and one without would show every key.
func (k keyScope) policy() *policy {
	bucket := "qcs::cos:" + k.region + ":uid/" + k.bucket[strings.LastIndexByte(k.bucket, '-')+1:] + ":" + k.bucket + "/"
	var resources stringList
	for _, prefix := range k.prefixes {
		resources = append(resources, bucket+prefix)
	}
	p := &policy{Version: "2.0", Statement: []statement{{Effect: "allow", Action: k.actions, Resource: resources}}}
	onBucket := slices.DeleteFunc(slices.Clone(k.actions), func(action string) bool {
		return strings.HasSuffix(action, "*") || matchAction(action, "GetBucket") || matchAction(action, "ListMultipartUploads")
	})
	if len(onBucket) > 0 {
		p.Statement = append(p.Statement, statement{Effect: "allow", Action: onBucket, Resource: stringList{bucket}})
	}
	return p
}
