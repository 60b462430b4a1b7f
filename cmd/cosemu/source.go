package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cosproxy/integration/cosemu"
)

// sources are the values of -source: those of COSPROXY_SOURCE, and with chainSuffix those
// whose credentials assume a second role.
var sources = []string{"sts", "role", "oidc", "cvm", "oidc" + chainSuffix, "cvm" + chainSuffix, "http", "file", "static"}

const chainSuffix = "-role"

// credentialVariables are the variables that lead a COS program to credentials of the
// caller, except SOURCE of the numbered routes.
var credentialVariables = []string{
	"COSPROXY_SOURCE",
	"TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN",
	"TENCENTCLOUD_SECRET_ID_FILE", "TENCENTCLOUD_SECRET_KEY_FILE", "TENCENTCLOUD_TOKEN_FILE",
	"TENCENTCLOUD_CREDENTIALS_FILE", "TCCLI_PROFILE",
	"COSPROXY_ROLE_ARN", "COSPROXY_ROLE_SESSION_NAME", "COSPROXY_ROLE_EXTERNAL_ID",
	"TKE_REGION", "TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN",
	"COSPROXY_CVM_METADATA_ENDPOINT", "COSPROXY_CVM_ROLE",
	"COSPROXY_CREDENTIALS_URL", "COSPROXY_CREDENTIALS_URL_TOKEN", "COSPROXY_CREDENTIALS_URL_TOKEN_FILE",
	"COSPROXY_CREDENTIALS_FILE", "COSPROXY_CREDENTIALS_PROFILE",
}

func checkSource(name string) error {
	if name != "" && !slices.Contains(sources, name) {
		return fmt.Errorf("-source %s: write one of %s", name, strings.Join(sources, ", "))
	}
	return nil
}

// newRoles returns the roles of the emulator: one for every source that needs one, and a
// second one that trusts it. If the source assumes the second role, this is all that the
// first one may do.
func newRoles(source, region string) []cosemu.Role {
	const second, provider = "qcs::cam::uin/100000000001:roleName/cosemu-second", "cosemu-provider"
	token := cosemu.WebIdentityToken(region, provider)
	first := cosemu.Role{
		ARN:        "qcs::cam::uin/100000000001:roleName/cosemu",
		ExternalID: "cosemu-external-id",
		ProviderID: provider, WebIdentityToken: func() string { return token },
		Instance: true,
	}
	if strings.HasSuffix(source, chainSuffix) {
		first.Policy = `{"version":"2.0","statement":[{"effect":"allow","action":"name/sts:AssumeRole","resource":"` + second + `"}]}`
	}
	return []cosemu.Role{first, {ARN: second, ExternalID: first.ExternalID, TrustedRoles: []string{first.ARN}}}
}

// credentialSource is the source of CMD's credentials, with a directory for the files
// that CMD reads.
type credentialSource struct {
	srv     *cosemu.Server
	options cosemu.Options
	dir     string
	stderr  io.Writer

	stop       context.CancelFunc
	background sync.WaitGroup
}

// openSource prepares the source and sets its variables in e. Without a name, it sets
// the long-lived key pair of the account alone, and CMD uses its default source.
func openSource(name string, e *environment, o cosemu.Options, srv *cosemu.Server, stderr io.Writer) (*credentialSource, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &credentialSource{srv: srv, options: o, stderr: stderr, stop: stop}
	dir, err := os.MkdirTemp("", "cosemu-credentials-")
	if err == nil {
		s.dir = dir
		err = s.setVariables(ctx, name, e)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("-source %s: %w", name, err), s.close())
	}
	return s, nil
}

// close stops the background work of the source and removes its files.
func (s *credentialSource) close() error {
	s.stop()
	s.background.Wait()
	return os.RemoveAll(s.dir)
}

func (s *credentialSource) setVariables(ctx context.Context, name string, e *environment) error {
	name, chained := strings.CutSuffix(name, chainSuffix)
	if name != "" {
		e.set("COSPROXY_SOURCE", name)
	}
	role := s.options.Roles[0]
	if chained {
		s.setRole(e, s.options.Roles[1])
	}
	switch name {
	case "", "sts":
		s.setPair(e)
	case "role":
		s.setPair(e)
		s.setRole(e, role)
	case "oidc":
		token := filepath.Join(s.dir, "token")
		if !chained { // region and provider are also in the token
			e.set("TKE_REGION", s.options.Region)
			e.set("TKE_PROVIDER_ID", role.ProviderID)
		}
		e.set("TKE_WEB_IDENTITY_TOKEN_FILE", token)
		e.set("TKE_ROLE_ARN", role.ARN)
		return os.WriteFile(token, []byte(role.WebIdentityToken()), 0o600)
	case "cvm":
		e.set("COSPROXY_CVM_METADATA_ENDPOINT", s.srv.MetadataURL())
	case "http":
		e.set("COSPROXY_CREDENTIALS_URL", s.srv.CredentialsServerURL())
		e.set("COSPROXY_CREDENTIALS_URL_TOKEN", s.options.CredentialsServerToken)
	case "file":
		e.set("COSPROXY_CREDENTIALS_FILE", filepath.Join(s.dir, credentialsFileName))
		return s.maintainFile(ctx)
	case "static":
		return s.setTriple(e)
	}
	return nil
}

// setPair sets the long-lived key pair of the account.
func (s *credentialSource) setPair(e *environment) {
	e.set("TENCENTCLOUD_SECRET_ID", s.srv.SecretID())
	e.set("TENCENTCLOUD_SECRET_KEY", s.srv.SecretKey())
}

// setRole sets the role to assume.
func (s *credentialSource) setRole(e *environment, role cosemu.Role) {
	e.set("COSPROXY_ROLE_ARN", role.ARN)
	e.set("COSPROXY_ROLE_SESSION_NAME", "cosemu")
	e.set("COSPROXY_ROLE_EXTERNAL_ID", role.ExternalID)
}

// setTriple sets static credentials with a session token. They do not expire, since
// CMD cannot get others.
func (s *credentialSource) setTriple(e *environment) error {
	creds := cosemu.Credentials{SecretID: "AKID" + rand.Text(), SecretKey: rand.Text(), Token: rand.Text()}
	e.set("TENCENTCLOUD_SECRET_ID", creds.SecretID)
	e.set("TENCENTCLOUD_SECRET_KEY", creds.SecretKey)
	e.set("TENCENTCLOUD_TOKEN", creds.Token)
	return s.srv.AddCredentials(creds)
}
