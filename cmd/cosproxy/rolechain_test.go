package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	firstRole  = "qcs::cam::uin/100000000001:roleName/pod"
	secondRole = "qcs::cam::uin/100000000001:roleName/cosproxy"
)

// TestAutoSource_Manual compares the table of the manual with the code, for every
// combination of the variables.
func TestAutoSource_Manual(t *testing.T) {
	rows := manualTable(t, "auto")
	// variables has one for each group of alternatives, and the alternatives are tested alone.
	variables := []string{"COSPROXY_ROLE_ARN", "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_TOKEN", "COSPROXY_CREDENTIALS_FILE", "COSPROXY_CREDENTIALS_URL", "COSPROXY_CVM_ROLE", "TKE_ROLE_ARN"}
	named := regexp.MustCompile("`([A-Z_]+)`")
	selects := func(row []string, set map[string]string) bool {
		return !slices.ContainsFunc(strings.Split(row[1], " and "), func(alternatives string) bool {
			return !slices.ContainsFunc(named.FindAllStringSubmatch(alternatives, -1), func(m []string) bool { return set[m[1]] != "" })
		})
	}
	check := func(set map[string]string) {
		t.Helper()
		want := ""
		if i := slices.IndexFunc(rows, func(row []string) bool { return selects(row, set) }); i >= 0 {
			want = strings.Trim(strings.Fields(rows[i][2])[0], "`:")
		}
		c, got := parse(set, newProblems()), ""
		if r := c.routeConfigs[0]; r.Source == "role" && !c.Source.hasPair() {
			got = "none"
		} else {
			got = r.Source
		}
		if got != want {
			t.Errorf("%v: auto selects %q, the manual says %q", set, got, want)
		}
	}
	for mask := range 1 << len(variables) {
		set := make(map[string]string)
		for i, name := range variables {
			if mask&(1<<i) != 0 {
				set[name] = "x"
			}
		}
		check(set)
	}
	for _, row := range rows {
		for _, m := range named.FindAllStringSubmatch(row[1], -1) {
			check(map[string]string{m[1]: "x"})
			check(map[string]string{m[1]: "x", "COSPROXY_ROLE_ARN": "x"})
		}
	}
}

// chainedSettings returns the settings of a pod whose role assumes a second one.
func chainedSettings(t *testing.T, changes ...string) []string {
	return append(oidc(t), append([]string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY=",
		"TKE_ROLE_ARN=" + firstRole, "COSPROXY_ROLE_ARN=" + secondRole}, changes...)...)
}

// stsByAction is an STS that rejects the actions in codes, and issues credentials for others.
func stsByAction(t *testing.T, codes map[string]string) *httptest.Server {
	return newServer(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		if code := codes[r.Header.Get("X-Tc-Action")]; code != "" {
			fmt.Fprintf(w, `{"Response":{"Error":{"Code":%q,"Message":"refused"},"RequestId":"sts-1"}}`, code)
			return
		}
		fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":%q,"TmpSecretId":%q,"TmpSecretKey":%q},"ExpiredTime":%d}}`,
			tmpToken, tmpID, tmpKey, time.Now().Add(time.Hour).Unix())
	})
}

func TestCheck_RoleChain(t *testing.T) {
	const (
		trust  = `{"version":"2.0","statement":[{"effect":"allow","action":"name/sts:AssumeRole","principal":{"qcs":["%s"]}%s}]}`
		assume = `{"version":"2.0","statement":[{"effect":"allow","action":"name/sts:AssumeRole","resource":["` + secondRole + `"]}]}`
	)
	for _, tt := range []struct {
		name    string
		codes   map[string]string
		changes []string
		code    string
		problem string
		advice  []string
	}{
		{"no trust", map[string]string{"AssumeRole": "UnauthorizedOperation"}, nil, "role_trust",
			"STS denies " + firstRole + " to assume " + secondRole + ": UnauthorizedOperation: refused",
			[]string{"set the trust policy of " + secondRole + " to", fmt.Sprintf(trust, firstRole, ""), "attach to " + firstRole + " the policy", assume, "cosproxy policy prints both"}},
		{"no trust, another code", map[string]string{"AssumeRole": "AuthFailure.UnauthorizedOperation"}, nil, "role_trust", "AuthFailure.UnauthorizedOperation: refused", nil},
		{"external id", map[string]string{"AssumeRole": "UnauthorizedOperation"}, []string{"COSPROXY_ROLE_EXTERNAL_ID=tenant"}, "role_trust", "refused",
			[]string{fmt.Sprintf(trust, firstRole, `,"condition":{"string_equal":{"sts:external_id":"tenant"}}`)}},
		{"first role denied", map[string]string{"AssumeRoleWithWebIdentity": "UnauthorizedOperation"}, nil, "no_credentials",
			"the first role has no credentials: UnauthorizedOperation: refused", []string{"identity provider"}},
		{"second role unknown", map[string]string{"AssumeRole": "ResourceNotFound.RoleNotFound"}, nil, "no_credentials",
			"ResourceNotFound.RoleNotFound: refused", []string{"check the role ARN"}},
		{"lifetime", map[string]string{"AssumeRoleWithWebIdentity": "InvalidParameter.OverTimeError"}, nil, "no_credentials",
			"the first role has no credentials: InvalidParameter.OverTimeError", []string{"raise the maximum session duration"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sts := stsByAction(t, tt.codes)
			r := checkOne(t, http.NotFoundHandler(), chainedSettings(t, append(tt.changes, "COSPROXY_STS_ENDPOINT="+sts.URL)...)...)
			if r.Code != tt.code || !strings.Contains(r.Problem, tt.problem) || r.RequestID != "sts-1" || r.Source != "oidc" || r.RoleARN != secondRole {
				t.Errorf("got %+v, want code %q", r, tt.code)
			}
			contains(t, r.Advice, tt.advice...)
		})
	}
	denied := cosResponse{status: 403, code: "AccessDenied"}
	r := checkOne(t, denied, chainedSettings(t, "COSPROXY_STS_ENDPOINT="+stsByAction(t, nil).URL)...)
	if r.Code != "denied" || !strings.Contains(r.Advice, "the role in COSPROXY_ROLE_ARN") {
		t.Errorf("denied by COS: %+v", r)
	}
}

func TestStatus_FirstRole(t *testing.T) {
	sts, cos := stsByAction(t, nil), newCOS(t)
	p := start(t, chainedSettings(t, "COSPROXY_STS_ENDPOINT="+sts.URL,
		"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO="+cos.Listener.Addr().String())...)
	contains(t, p.send(t, http.MethodGet, "/uploads/a"), "200 OK")
	_, status := p.get(t, p.admin, "/status")
	contains(t, status, "source          oidc, then "+secondRole+"\n", "first role      AKIDtmp, expires ", "credentials     AKIDtmp, expires ")
	_, metrics := p.get(t, p.admin, "/metrics")
	contains(t, metrics, `cosproxy_credentials_ready{bucket="",route="first role of oidc"} 1`)
	if line := p.logs.wait(t, "new credentials"); line["cosproxy.first_role"] != "oidc" {
		t.Errorf("the first credentials are logged as %v", line)
	}
	if line := p.logs.wait(t, "route"); line["cosproxy.second_role"] != secondRole {
		t.Errorf("the route is logged as %v", line)
	}
	p.end(t, exitOK)
}

// TestReadyz_FirstRole checks that the reason says which role failed.
func TestReadyz_FirstRole(t *testing.T) {
	for action, want := range map[string]string{
		"AssumeRoleWithWebIdentity": "no credentials to assume the role: oidc: UnauthorizedOperation: refused",
		"AssumeRole":                "no valid credentials: role: UnauthorizedOperation: refused",
	} {
		sts := stsByAction(t, map[string]string{action: "UnauthorizedOperation"})
		p := start(t, chainedSettings(t, "COSPROXY_STS_ENDPOINT="+sts.URL)...)
		contains(t, p.send(t, http.MethodGet, "/uploads/a"), "503 Service Unavailable")
		if status, body := p.get(t, p.admin, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %q", action, status, body, want)
		}
		p.end(t, exitOK)
	}
}

func TestLoop_SecondRoleOfInstance(t *testing.T) {
	_, err := loadConfig(settingsFor("COSPROXY_SOURCE=cvm", "COSPROXY_ROLE_ARN="+secondRole, "COSPROXY_STS_ENDPOINT=http://127.0.0.1:4360"))
	if err == nil || !strings.Contains(err.Error(), "COSPROXY_STS_ENDPOINT") {
		t.Errorf("got %v", err)
	}
}
