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

// sources are what -source may be, as COSPROXY_SOURCE names them.
var sources = []string{"sts", "role", "oidc", "cvm", "http", "file", "static"}

// keyVariables are those that lead a COS program to keys of its caller's own.
// The SOURCE of each numbered route is another.
var keyVariables = []string{
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

// newRole is the role that the emulator has, for every source that needs one.
func newRole() cosemu.Role {
	token := rand.Text()
	return cosemu.Role{
		ARN:        "qcs::cam::uin/100000000001:roleName/cosemu",
		ExternalID: "cosemu-external-id",
		ProviderID: "cosemu-provider", WebIdentityToken: func() string { return token },
		Instance: true,
	}
}

// keySource is where CMD gets its keys from. It has a directory for the files
// that CMD reads, if any.
type keySource struct {
	srv     *cosemu.Server
	options cosemu.Options
	dir     string
	stderr  io.Writer

	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// openSource makes the source ready and sets its variables in e. Without a name,
// these are the account's long-lived pair alone, and the program's own default
// decides.
func openSource(name string, e *environment, o cosemu.Options, srv *cosemu.Server, stderr io.Writer) (*keySource, error) {
	ctx, stop := context.WithCancel(context.Background())
	s := &keySource{srv: srv, options: o, stderr: stderr, stop: stop}
	dir, err := os.MkdirTemp("", "cosemu-keys-")
	if err == nil {
		s.dir = dir
		err = s.offer(ctx, name, e)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("-source %s: %w", name, err), s.close())
	}
	return s, nil
}

// close ends what runs for the source and removes its files.
func (s *keySource) close() error {
	s.stop()
	s.tasks.Wait()
	return os.RemoveAll(s.dir)
}

func (s *keySource) offer(ctx context.Context, name string, e *environment) error {
	if name != "" {
		e.set("COSPROXY_SOURCE", name)
	}
	role := s.options.Roles[0]
	switch name {
	case "", "sts":
		s.offerPair(e)
	case "role":
		s.offerPair(e)
		e.set("COSPROXY_ROLE_ARN", role.ARN)
		e.set("COSPROXY_ROLE_SESSION_NAME", "cosemu")
		e.set("COSPROXY_ROLE_EXTERNAL_ID", role.ExternalID)
	case "oidc":
		token := filepath.Join(s.dir, "token")
		e.set("TKE_REGION", s.options.Region)
		e.set("TKE_PROVIDER_ID", role.ProviderID)
		e.set("TKE_WEB_IDENTITY_TOKEN_FILE", token)
		e.set("TKE_ROLE_ARN", role.ARN)
		return os.WriteFile(token, []byte(role.WebIdentityToken()), 0o600)
	case "cvm":
		e.set("COSPROXY_CVM_METADATA_ENDPOINT", s.srv.MetadataURL())
	case "http":
		e.set("COSPROXY_CREDENTIALS_URL", s.srv.CredentialsServerURL())
		e.set("COSPROXY_CREDENTIALS_URL_TOKEN", s.options.CredentialsServerToken)
	case "file":
		e.set("COSPROXY_CREDENTIALS_FILE", filepath.Join(s.dir, keyFileName))
		return s.keepKeyFile(ctx)
	case "static":
		return s.offerTriple(e)
	}
	return nil
}

// offerPair sets the account's long-lived pair.
func (s *keySource) offerPair(e *environment) {
	e.set("TENCENTCLOUD_SECRET_ID", s.srv.SecretID())
	e.set("TENCENTCLOUD_SECRET_KEY", s.srv.SecretKey())
}

// offerTriple sets a key with a token. It does not expire, since the program has
// no way to a second one.
func (s *keySource) offerTriple(e *environment) error {
	key := cosemu.Credentials{SecretID: "AKID" + rand.Text(), SecretKey: rand.Text(), Token: rand.Text()}
	e.set("TENCENTCLOUD_SECRET_ID", key.SecretID)
	e.set("TENCENTCLOUD_SECRET_KEY", key.SecretKey)
	e.set("TENCENTCLOUD_TOKEN", key.Token)
	return s.srv.AddCredentials(key)
}
