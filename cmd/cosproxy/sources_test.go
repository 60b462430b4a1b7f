package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cosproxy/credcache"
)

// fakeIssuer simulates STS, a metadata service and a credentials server. It records requests,
// one line each.
type fakeIssuer struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
}

func newIssuer(t *testing.T) *fakeIssuer {
	s := new(fakeIssuer)
	s.Server = newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			RoleArn, RoleSessionName, ProviderID, WebIdentityToken, ExternalID, Policy string
			DurationSeconds                                                            int
		}
		line := r.Method + " " + r.URL.Path
		if r.Header.Get("Content-Type") == "application/json" {
			if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
				t.Error(err)
			}
		}
		if caller, ok := strings.CutPrefix(r.Header.Get("Authorization"), "TC3-HMAC-SHA256 Credential="); ok {
			caller, _, _ = strings.Cut(caller, "/")
			line = fmt.Sprintf("%s of %s in %s: %s %s %s %d policy %t token %t", r.Header.Get("X-Tc-Action"), caller, r.Header.Get("X-Tc-Region"),
				call.RoleArn, call.RoleSessionName, call.ExternalID, call.DurationSeconds, call.Policy != "", r.Header.Get("X-Tc-Token") == tmpToken)
		} else if r.Header.Get("Content-Type") == "application/json" {
			line = strings.Join([]string{r.Header.Get("X-Tc-Action"), r.Header.Get("X-Tc-Region"), call.RoleArn, call.RoleSessionName,
				call.ProviderID, fmt.Sprint(call.DurationSeconds, " token ", call.WebIdentityToken == testToken)}, " ")
		} else if r.Method == http.MethodPost {
			line = strings.Join([]string{r.FormValue("Action"), r.FormValue("SecretId"), r.FormValue("RoleArn"), r.FormValue("RoleSessionName"),
				r.FormValue("ExternalId"), r.FormValue("DurationSeconds"), fmt.Sprint("policy ", r.FormValue("Policy") != "")}, " ")
		}
		if strings.HasPrefix(r.URL.Path, "/keys") {
			line += fmt.Sprint(" ", r.URL.Query()["prefix"], " token ", r.Header.Get("Authorization") == "Bearer "+testToken)
		}
		s.mu.Lock()
		s.calls = append(s.calls, line)
		s.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/security-credentials/") {
			fmt.Fprint(w, "instance-role")
			return
		}
		key, expires := fmt.Sprintf(`"TmpSecretId":%q,"TmpSecretKey":%q,"Token":%q`, tmpID, tmpKey, tmpToken), time.Now().Add(time.Hour)
		expiry := fmt.Sprintf(`"ExpiredTime":%d,"Expiration":%q`, expires.Unix(), expires.UTC().Format(time.RFC3339))
		switch r.URL.Path {
		case "/":
			fmt.Fprintf(w, `{"Response":{"Credentials":{%s},%s}}`, key, expiry)
		case "/keys":
			fmt.Fprintf(w, `{"credentials":{%s},%s}`, strings.Replace(key, "Token", "SessionToken", 1), expiry)
		default:
			fmt.Fprintf(w, `{%s,%s,"Code":"Success"}`, key, expiry)
		}
	})
	return s
}

func (s *fakeIssuer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// TestSources_Settings has a minimal configuration of each source, and checks that every
// variable is used.
func TestSources_Settings(t *testing.T) {
	issuer, cos := newIssuer(t), newCOS(t)
	role, noPair := "qcs::cam::uin/100000000001:roleName/r", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}
	sts := "COSPROXY_STS_ENDPOINT=" + issuer.URL
	tests := []struct {
		source  string
		environ []string
		calls   []string
	}{
		{"sts", []string{sts, "COSPROXY_DURATION=10m"}, []string{"GetFederationToken AKIDexample    600 policy true"}},
		{"role", []string{sts, "COSPROXY_ROLE_ARN=" + role}, []string{"AssumeRole AKIDexample " + role + " cosproxy  1800 policy true"}},
		{"role", []string{sts, "COSPROXY_ROLE_ARN=" + role, "COSPROXY_ROLE_SESSION_NAME=pod-1", "COSPROXY_ROLE_EXTERNAL_ID=ext"},
			[]string{"AssumeRole AKIDexample " + role + " pod-1 ext 1800 policy true"}},
		{"oidc", append(noPair, sts, "TKE_REGION=ap-beijing", "TKE_PROVIDER_ID=cls-1", "TKE_ROLE_ARN="+role, "TKE_WEB_IDENTITY_TOKEN_FILE="+file(t, testToken+"\n")),
			[]string{"AssumeRoleWithWebIdentity ap-beijing " + role + " cosproxy cls-1 1800 token true"}},
		{"cvm", append(noPair, "COSPROXY_SOURCE=cvm", "COSPROXY_CVM_METADATA_ENDPOINT="+issuer.URL),
			[]string{"GET /latest/meta-data/cam/security-credentials/", "GET /latest/meta-data/cam/security-credentials/instance-role"}},
		{"cvm", append(noPair, "COSPROXY_CVM_ROLE=named", "COSPROXY_CVM_METADATA_ENDPOINT="+issuer.URL), []string{"GET /latest/meta-data/cam/security-credentials/named"}},
		{"oidc", append(noPair, sts, "TKE_REGION=ap-beijing", "TKE_PROVIDER_ID=cls-1", "TKE_ROLE_ARN="+role, "TKE_WEB_IDENTITY_TOKEN_FILE="+file(t, testToken),
			"COSPROXY_ROLE_ARN="+role+"2", "COSPROXY_ROLE_SESSION_NAME=pod-1", "COSPROXY_ROLE_EXTERNAL_ID=ext", "COSPROXY_DURATION=10m"),
			[]string{"AssumeRoleWithWebIdentity ap-beijing " + role + " pod-1 cls-1 7200 token true",
				"AssumeRole of AKIDtmp in ap-guangzhou: " + role + "2 pod-1 ext 600 policy true token true"}},
		{"cvm", append(noPair, sts, "COSPROXY_CVM_ROLE=named", "COSPROXY_CVM_METADATA_ENDPOINT="+issuer.URL, "COSPROXY_ROLE_ARN="+role, "COSPROXY_DURATION=10m"),
			[]string{"GET /latest/meta-data/cam/security-credentials/named",
				"AssumeRole of AKIDtmp in ap-guangzhou: " + role + " cosproxy  600 policy true token true"}},
		{"http", append(noPair, "COSPROXY_CREDENTIALS_URL="+issuer.URL+"/keys"), []string{"GET /keys [uploads/*] token false"}},
		{"http", append(noPair, "COSPROXY_CREDENTIALS_URL="+issuer.URL+"/keys", "COSPROXY_CREDENTIALS_URL_TOKEN="+testToken), []string{"GET /keys [uploads/*] token true"}},
		{"http", append(noPair, "COSPROXY_CREDENTIALS_URL="+issuer.URL+"/keys", "COSPROXY_CREDENTIALS_URL_TOKEN_FILE="+file(t, testToken+"\n")), []string{"GET /keys [uploads/*] token true"}},
		{"file", append(noPair, "COSPROXY_CREDENTIALS_FILE="+file(t, fmt.Sprintf(`{"TmpSecretId":%q,"TmpSecretKey":%q,"Token":%q}`, tmpID, tmpKey, tmpToken))), nil},
		{"file", append(noPair, "COSPROXY_CREDENTIALS_PROFILE=other", "COSPROXY_CREDENTIALS_FILE="+file(t, "[other]\nsecret_id = "+tmpID+"\nsecret_key = "+tmpKey+"\n")), nil},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			before := len(issuer.requests())
			p := start(t, append(slices.Clone(tt.environ), "COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String())...)
			contains(t, p.send(t, http.MethodGet, "/uploads/a"), "200 OK", "with AKIDtmp\n")
			p.end(t, exitOK)
			if got := issuer.requests()[before:]; !slices.Equal(got, tt.calls) {
				t.Errorf("requests to the issuer:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.calls, "\n"))
			}
			if source := p.logs.wait(t, "route")["cosproxy.source"]; source != tt.source {
				t.Errorf("source %v, want %s", source, tt.source)
			}
		})
	}
}

// TestSources_KeyPairReplaced checks that a key pair in files is read for every fetch.
func TestSources_KeyPairReplaced(t *testing.T) {
	id, key := file(t, "AKIDold\n"), file(t, testKey+"\n")
	issuer := newIssuer(t)
	cfg, err := loadConfig(settingsFor("COSPROXY_STS_ENDPOINT="+issuer.URL, "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY=",
		"TENCENTCLOUD_SECRET_ID_FILE="+id, "TENCENTCLOUD_SECRET_KEY_FILE="+key))
	if err != nil {
		t.Fatal(err)
	}
	transports := newTransports(cfg)
	defer transports.close()
	source, err := sourceKinds["sts"].new(&cfg.Source, 0, transports)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AKIDold", "AKIDnew"} {
		if err := os.WriteFile(id, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Fetch(t.Context(), cfg.routes[0].scope()); err != nil {
			t.Fatal(err)
		}
		if got := issuer.requests(); !strings.HasPrefix(got[len(got)-1], "GetFederationToken "+want) {
			t.Errorf("requests %q, want the last with %s", got, want)
		}
	}
}

// TestCredentialStore_SharedFirstRole has two routes whose credentials have different
// lifetimes, and so caches of their own: they share the credentials of the first role.
func TestCredentialStore_SharedFirstRole(t *testing.T) {
	issuer := newIssuer(t)
	cfg, err := loadConfig(append(routesFor(chainedSettings(t, "COSPROXY_STS_ENDPOINT="+issuer.URL)...), "COSPROXY_ROUTES_1_DURATION=1h"))
	if err != nil {
		t.Fatal(err)
	}
	transports := newTransports(cfg)
	defer transports.close()
	store, err := newCredentialStore(cfg, transports, credcache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.close()
	for _, r := range cfg.routes {
		if _, err := store.of(r).provider.Credentials(t.Context()); err != nil {
			t.Error(err)
		}
	}
	var actions []string
	for _, call := range issuer.requests() {
		actions = append(actions, strings.Fields(call)[0])
	}
	if want := []string{"AssumeRoleWithWebIdentity", "AssumeRole", "AssumeRole"}; !slices.Equal(actions, want) || len(store.caches) != 2 {
		t.Errorf("%d caches, calls %q", len(store.caches), actions)
	}
}
