package cosemu_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/integration/cosemu"
)

// faultCases returns faults of every kind, each for one call.
func faultCases() map[string]cosemu.SourceFault {
	garbage, empty := "<html>", ""
	return map[string]cosemu.SourceFault{
		"code":    {Times: 1, Code: "InternalError.SystemError", Message: "try again"},
		"status":  {Times: 1, Status: http.StatusBadGateway},
		"garbage": {Times: 1, Body: &garbage},
		"empty":   {Times: 1, Body: &empty},
		"drop":    {Times: 1, Drop: true},
	}
}

func TestSourceFault_STS(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := stsClient(t, srv, longLived(srv))
	ask := func() error {
		_, err := client.GetCredential(&sts.CredentialOptions{Policy: policyOf([]string{"*"}, []string{"*"})})
		return err
	}
	for name, fault := range faultCases() {
		t.Run(name, func(t *testing.T) {
			before := srv.Stats()
			srv.SetSTSFault(fault)
			err := ask()
			var e *sts.CredentialError
			if err == nil || fault.Code != "" && (!errors.As(err, &e) || e.Code != fault.Code) {
				t.Errorf("got %v", err)
			}
			if after := srv.Stats(); after.STSCalls == before.STSCalls || after.CredentialsIssued != before.CredentialsIssued {
				t.Errorf("%+v, before %+v", after, before)
			}
			if err := ask(); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

// TestSourceFault_HTTP covers the services that have no client in an SDK.
func TestSourceFault_HTTP(t *testing.T) {
	srv := start(t, cosemu.Options{Roles: []cosemu.Role{{ARN: sidecarARN, Instance: true}}})
	services := []struct {
		name       string
		set        func(cosemu.SourceFault)
		url        string
		calls      func(cosemu.Stats) int
		codeStatus int
		codeBody   string
	}{
		{
			"metadata", srv.SetMetadataFault, instanceURL(srv, "sidecar"),
			func(s cosemu.Stats) int { return s.MetadataCalls() }, http.StatusOK, `"Code":"InternalError.SystemError"`,
		},
		{
			"credentials server", srv.SetCredentialsServerFault, srv.CredentialsServerURL(),
			func(s cosemu.Stats) int { return s.CredentialsServerCalls() }, http.StatusInternalServerError, `"code":"InternalError.SystemError"`,
		},
	}
	for _, service := range services {
		for name, fault := range faultCases() {
			t.Run(service.name+" "+name, func(t *testing.T) {
				before := srv.Stats()
				service.set(fault)
				a, err := fetch(service.url)
				switch {
				case fault.Drop:
					if err == nil {
						t.Errorf("response %+v", a)
					}
				case err != nil:
					t.Error(err)
				case fault.Body != nil && a.body != *fault.Body,
					fault.Status != 0 && a.status != fault.Status,
					fault.Code != "" && (a.status != service.codeStatus || !strings.Contains(a.body, service.codeBody)):
					t.Errorf("%+v", a)
				}
				// net/http repeats a GET if the connection is dropped before the response.
				if after := srv.Stats(); service.calls(after) == service.calls(before) {
					t.Errorf("%+v, before %+v", after, before)
				}
			})
		}
		service.set(cosemu.SourceFault{})
		if a, err := fetch(service.url); err != nil || a.status != http.StatusOK || !strings.Contains(strings.ToLower(a.body), "tmpsecretkey") {
			t.Errorf("%s after the faults: %+v, %v", service.name, a, err)
		}
	}
}

// fetch sends a GET on a new connection.
func fetch(url string) (httpResponse, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return httpResponse{}, err
	}
	return send(r)
}

func send(r *http.Request) (httpResponse, error) {
	r.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return httpResponse{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return httpResponse{resp.StatusCode, resp.Header, string(body)}, err
}

// count returns the number of failed calls.
func count(failed []bool) (n int) {
	for _, f := range failed {
		if f {
			n++
		}
	}
	return n
}

func TestSourceFault_Percent(t *testing.T) {
	srv := start(t, cosemu.Options{})
	const calls = 200
	run := func(fault cosemu.SourceFault) (failed []bool) {
		srv.SetCredentialsServerFault(fault)
		for range calls {
			a, err := fetch(srv.CredentialsServerURL())
			if err != nil {
				t.Fatal(err)
			}
			failed = append(failed, a.status != http.StatusOK)
		}
		return failed
	}
	half := cosemu.SourceFault{Percent: 50, Status: http.StatusInternalServerError}
	first := run(half)
	if n := count(first); n < calls/3 || n > calls*2/3 {
		t.Errorf("%d of %d calls failed", n, calls)
	}
	if !slices.Equal(first, run(half)) {
		t.Error("different calls failed the second time")
	}
	half.Times = 3
	if n := count(run(half)); n != 3 {
		t.Errorf("%d calls failed, want 3", n)
	}
}

// TestSourceFault_Delay checks that a client can give up during the delay, and that no
// credentials are issued then.
func TestSourceFault_Delay(t *testing.T) {
	srv := start(t, cosemu.Options{})
	srv.SetCredentialsServerFault(cosemu.SourceFault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.CredentialsServerURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := send(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", a, err)
	}
	if n := srv.Stats().CredentialsIssued; n != 0 {
		t.Errorf("%d credentials issued", n)
	}
}
