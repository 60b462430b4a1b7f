package credcache

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"cosproxy/signer"
)

const (
	metadataEndpoint = "http://metadata.tencentyun.com"
	metadataPath     = "/latest/meta-data/cam/security-credentials/"
	// metadataDialTimeout is short because the service is one hop away on a CVM, and
	// does not exist elsewhere.
	metadataDialTimeout = 2 * time.Second

	noRole   = "no role attached to this instance"
	bindRole = "attach a role to the instance in the CVM console, or use another source"
)

// Compiled on first use, since bounded repetitions make this slow.
var (
	roleName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,128}$`) })
	// A code of any other form is not shown: it could be a secret.
	codeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z.]{1,64}$`) })
)

// CVMOptions configure NewCVM. The zero value is ready to use.
type CVMOptions struct {
	// Role is the name of the role bound to the instance. Empty: each fetch asks the
	// metadata service for it.
	Role string
	// Endpoint is the URL of the metadata service: scheme, host and optional port.
	// Empty: http://metadata.tencentyun.com.
	Endpoint string
}

// NewCVM returns a Source that gets the credentials of the instance's role from the
// metadata service of a CVM. The scope does not limit them: they grant everything
// that the role allows. Errors are as those of NewSTS.
//
// It has no transport option and ignores proxy settings: the service identifies the
// instance by its address, so a proxy would return the credentials of its own
// instance.
func NewCVM(opts CVMOptions) (Source, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = metadataEndpoint
	}
	u, err := parseHost(opts.Endpoint, metadataEndpoint)
	if err != nil {
		return nil, err
	}
	if opts.Role != "" && !roleName().MatchString(opts.Role) {
		return nil, &OptionError{Field: "Role", Problem: fmt.Sprintf("%q is not the name of a role; copy it from the CAM console, without the leading qcs::", opts.Role)}
	}
	transport := newTransport(metadataDialTimeout)
	transport.Proxy = nil
	s := &cvmSource{base: u.JoinPath(metadataPath), role: opts.Role, service: service{
		source: "cvm", name: "the metadata service", host: u.Host, next: transport,
		hint: "check that this machine is a CVM and that no proxy intercepts the request",
	}}
	s.explainStatus = s.explain
	return SourceFunc(s.fetch), nil
}

type cvmSource struct {
	service
	base *url.URL
	role string
}

// explain is the explainStatus of the service.
func (s *cvmSource) explain(status int) (message, hint string) {
	switch {
	case status != http.StatusNotFound:
		return "the metadata service has no credentials now", s.hint
	case s.role != "":
		return "the role " + s.role + " is not attached to this instance", "correct Role, or leave it empty to use the role that is attached"
	}
	return noRole, bindRole
}

func (s *cvmSource) fetch(ctx context.Context, _ Scope) (signer.Credentials, error) {
	c := &call{service: &s.service, ctx: ctx}
	role := s.role
	if role == "" {
		var err error
		if role, err = s.discoverRole(c); err != nil {
			return signer.Credentials{}, err
		}
	}
	body, err := c.get(s.base.JoinPath(role).String(), nil)
	var response struct {
		credentialsResponse
		Code string
	}
	if err == nil {
		err = json.Unmarshal(body, &response)
	}
	switch {
	case err != nil:
		return signer.Credentials{}, c.failure(err)
	case response.Code != "Success":
		return signer.Credentials{}, c.error(&SourceError{
			Code: codeForm().FindString(response.Code), Message: "the metadata service has no credentials for the role " + role,
			Hint: "check in the CAM console that the role exists and trusts the CVM service", Retryable: true, Err: ErrInvalidResponse,
		})
	}
	return c.validated(response.credentials(), "")
}

// discoverRole asks the metadata service for the name of the instance's role.
func (s *cvmSource) discoverRole(c *call) (string, error) {
	body, err := c.get(s.base.String(), nil)
	if err != nil {
		return "", c.failure(err)
	}
	names := strings.Fields(string(body))
	for _, name := range names {
		if !roleName().MatchString(name) {
			return "", c.failure(ErrInvalidResponse)
		}
	}
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", c.error(&SourceError{Code: "NoRole", Message: noRole, Hint: bindRole})
	}
	return "", c.error(&SourceError{
		Code: "SeveralRoles", Message: "this instance has the roles " + strings.Join(names, ", "), Hint: "set Role to the one to use",
	})
}
