package cosemu_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// fetchFromServer calls the credentials server. It sends no Authorization header if
// authorization is missing or "".
func fetchFromServer(t *testing.T, srv *cosemu.Server, method, query string, authorization ...string) httpResponse {
	t.Helper()
	r, err := http.NewRequest(method, srv.CredentialsServerURL()+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Authorization"] = authorization
	a, err := send(r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serverResponse is the response in the JSON of the STS SDK's demos.
type serverResponse struct {
	Credentials struct{ TmpSecretID, TmpSecretKey, SessionToken string }
	StartTime   int64
	ExpiredTime int64
	Expiration  string
	RequestID   string
}

func (a httpResponse) decodeServerResponse(t *testing.T) (serverResponse, clientCredentials) {
	t.Helper()
	var response serverResponse
	if err := json.Unmarshal([]byte(a.body), &response); err != nil || a.status != http.StatusOK || response.RequestID == "" {
		t.Fatalf("%+v, %v", a, err)
	}
	return response, clientCredentials{response.Credentials.TmpSecretID, response.Credentials.TmpSecretKey, response.Credentials.SessionToken}
}

func TestCredentialsServer_Scope(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	query := "?" + url.Values{
		"bucket": {bucket2}, "region": {region}, "prefix": {"up/*", "one.txt"},
		"action": {"name/cos:PutObject", "name/cos:HeadBucket", "name/cos:GetBucket"},
	}.Encode()
	response, creds := fetchFromServer(t, srv, http.MethodGet, query).decodeServerResponse(t)
	if response.StartTime != now.Unix() || response.ExpiredTime != now.Unix()+1800 || response.Expiration != now.Add(30*time.Minute).UTC().Format(time.RFC3339) {
		t.Errorf("%+v", response)
	}
	c := sdk(t, srv, bucket2, creds)
	put(t, c, "up/a", "x")
	put(t, c, "one.txt", "x")
	if _, err := c.Bucket.Head(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Bucket.Get(t.Context(), &cos.BucketGetOptions{Prefix: "up/"}); err != nil {
		t.Error(err)
	}
	_, _, err := c.Bucket.Get(t.Context(), nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	_, err = c.Object.Put(t.Context(), "down/a", http.NoBody, nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	_, err = c.Object.Get(t.Context(), "up/a", nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
	_, err = sdk(t, srv, bucket1, creds).Object.Put(t.Context(), "up/a", http.NoBody, nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
}

// TestCredentialsServer_DefaultScope checks that credentials for the default scope
// allow everything in the first bucket and nothing in others.
func TestCredentialsServer_DefaultScope(t *testing.T) {
	srv := start(t, cosemu.Options{CredentialsDuration: time.Minute})
	response, creds := fetchFromServer(t, srv, http.MethodGet, "").decodeServerResponse(t)
	if response.ExpiredTime-response.StartTime != 60 {
		t.Errorf("%+v", response)
	}
	c := sdk(t, srv, bucket1, creds)
	put(t, c, "a", "x")
	if _, _, err := c.Bucket.Get(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_, err := sdk(t, srv, bucket2, creds).Object.Put(t.Context(), "a", http.NoBody, nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
}

func TestCredentialsServer_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{CredentialsServerToken: "open-sesame"})
	const bearer = "Bearer open-sesame"
	tests := []struct {
		name, method, query string
		authorization       []string
		status              int
	}{
		{"in order", "GET", "?bucket=" + bucket1, []string{bearer}, 200},
		{"no token", "GET", "", nil, 401},
		{"other token", "GET", "", []string{"Bearer open-sesam"}, 401},
		{"bare token", "GET", "", []string{"open-sesame"}, 401},
		{"two tokens", "GET", "", []string{bearer, bearer}, 401},
		{"POST", "POST", "", []string{bearer}, 405},
		{"other path", "GET", "/more", []string{bearer}, 404},
		{"other bucket", "GET", "?bucket=none-1250000000", []string{bearer}, 400},
		{"other region", "GET", "?region=ap-beijing", []string{bearer}, 400},
		{"two buckets", "GET", "?bucket=" + bucket1 + "&bucket=" + bucket2, []string{bearer}, 400},
		{"empty prefix", "GET", "?prefix=", []string{bearer}, 400},
		{"star before the end", "GET", "?prefix=*/a", []string{bearer}, 400},
		{"preset as action", "GET", "?action=name/cos:read,list", []string{bearer}, 400},
		{"action of another service", "GET", "?action=name/sts:AssumeRole", []string{bearer}, 400},
		{"unknown parameter", "GET", "?prefixes=a", []string{bearer}, 400},
		{"broken query", "GET", "?prefix=%zz", []string{bearer}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := fetchFromServer(t, srv, tt.method, tt.query, tt.authorization...)
			var e struct{ Code, Message string }
			if err := json.Unmarshal([]byte(a.body), &e); a.status != tt.status || err != nil || (e.Code == "") != (tt.status == 200) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	if stats := srv.Stats(); stats.CredentialsServerCalls() != len(tests) || stats.CredentialsIssued != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestCredentialsServer_TLS(t *testing.T) {
	// httptest has a certificate for 127.0.0.1 and a client that trusts it.
	ours := httptest.NewTLSServer(http.NotFoundHandler())
	defer ours.Close()
	srv := start(t, cosemu.Options{TLS: &tls.Config{Certificates: ours.TLS.Certificates}})
	resp, err := ours.Client().Get(srv.CredentialsServerURL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.TLS == nil {
		t.Error(resp.Status)
	}
}
