package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

type clientCredentials struct{ id, secret, token string }

// getCredentials gets credentials as a COS program does in the environment of each
// source.
func getCredentials(source string) (clientCredentials, error) {
	switch source {
	case "static":
		return clientCredentials{os.Getenv("TENCENTCLOUD_SECRET_ID"), os.Getenv("TENCENTCLOUD_SECRET_KEY"), os.Getenv("TENCENTCLOUD_TOKEN")}, nil
	case "cvm":
		base := os.Getenv("COSPROXY_CVM_METADATA_ENDPOINT") + "/latest/meta-data/cam/security-credentials/"
		role, err := fetch(base, "")
		if err != nil {
			return clientCredentials{}, err
		}
		return parseCredentials(fetch(base+string(role), ""))
	case "http":
		return parseCredentials(fetch(os.Getenv("COSPROXY_CREDENTIALS_URL")+"?bucket="+os.Getenv("COSPROXY_BUCKET"), os.Getenv("COSPROXY_CREDENTIALS_URL_TOKEN")))
	case "file":
		return parseCredentials(os.ReadFile(os.Getenv("COSPROXY_CREDENTIALS_FILE")))
	}
	return getFromSTS(source)
}

func getFromSTS(source string) (clientCredentials, error) {
	client := sts.NewClient(os.Getenv("TENCENTCLOUD_SECRET_ID"), os.Getenv("TENCENTCLOUD_SECRET_KEY"), nil,
		sts.Host(strings.TrimPrefix(os.Getenv("COSPROXY_STS_ENDPOINT"), "http://")), sts.Scheme("http"))
	options := &sts.CredentialOptions{
		Policy: &sts.CredentialPolicy{Statement: []sts.CredentialPolicyStatement{
			{Effect: "allow", Action: []string{"*"}, Resource: []string{"*"}},
		}},
		RoleArn: os.Getenv("COSPROXY_ROLE_ARN"), RoleSessionName: os.Getenv("COSPROXY_ROLE_SESSION_NAME"),
		ExternalId: os.Getenv("COSPROXY_ROLE_EXTERNAL_ID"),
	}
	var result *sts.CredentialResult
	var err error
	switch source {
	case "", "sts":
		result, err = client.GetCredential(options)
	case "role":
		result, err = client.GetRoleCredential(options)
	case "oidc":
		var token []byte
		if token, err = os.ReadFile(os.Getenv("TKE_WEB_IDENTITY_TOKEN_FILE")); err == nil {
			result, err = client.AssumeRoleWithWebIdentity(&sts.WebIdentityOptions{
				Region: os.Getenv("TKE_REGION"), ProviderId: os.Getenv("TKE_PROVIDER_ID"), RoleArn: os.Getenv("TKE_ROLE_ARN"),
				WebIdentityToken: string(token), RoleSessionName: "test",
			})
		}
	default:
		err = fmt.Errorf("unknown source %q", source)
	}
	if err != nil {
		return clientCredentials{}, err
	}
	return clientCredentials{result.Credentials.TmpSecretID, result.Credentials.TmpSecretKey, result.Credentials.SessionToken}, nil
}

func fetch(url, bearer string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}

// parseCredentials parses credentials in the JSON of the metadata service or of the
// credentials server.
func parseCredentials(text []byte, err error) (clientCredentials, error) {
	if err != nil {
		return clientCredentials{}, err
	}
	var response struct {
		TmpSecretID, TmpSecretKey, Token string
		Credentials                      struct{ TmpSecretID, TmpSecretKey, SessionToken string }
	}
	if err := json.Unmarshal(text, &response); err != nil {
		return clientCredentials{}, err
	}
	if c := response.Credentials; c.TmpSecretID != "" {
		return clientCredentials{c.TmpSecretID, c.TmpSecretKey, c.SessionToken}, nil
	}
	return clientCredentials{response.TmpSecretID, response.TmpSecretKey, response.Token}, nil
}

// waitForNewCredentials is a program for scripts: it succeeds as soon as its
// credentials file has contained three credentials. It fails if it reads a part of
// them.
func waitForNewCredentials() {
	seen := map[clientCredentials]bool{}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		creds, err := getCredentials("file")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if seen[creds] = true; len(seen) == 3 {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "%d credentials\n", len(seen))
	os.Exit(1)
}
