package credcache

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"cosproxy/signer"
)

const (
	metadataEndpoint = "http://metadata.tencentyun.com"
	metadataPath     = "/latest/meta-data/cam/security-credentials/"
	// The service is one hop away, so elsewhere this fails soon.
	metadataDial = 2 * time.Second

	noRole   = "no role attached to this instance"
	bindRole = "bind a role to the CVM in its console, or choose another source"
)

var (
	roleName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	// Anything else in the place of a code is not shown: it could be a key.
	codeForm = regexp.MustCompile(`^[A-Za-z.]{1,64}$`)
)

// CVMOptions configure NewCVM. The zero value is ready to use.
type CVMOptions struct {
	// Role is the name of the role bound to the instance. Empty: asked of the
	// metadata service at each fetch.
	Role string
	// Endpoint is the URL of the metadata service: scheme and host, perhaps a
	// port. Empty: http://metadata.tencentyun.com.
	Endpoint string
}

// NewCVM returns a Source that takes the key of the instance's role from the
// metadata service of a CVM. The scope does not limit these keys: they can do
// all that the role may. Errors are as those of NewSTS.
//
// It takes no transport and no proxy settings: the service answers by the
// address of who asks, so a proxy would hand out the key of its own instance.
func NewCVM(opts CVMOptions) (Source, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = metadataEndpoint
	}
	u, err := parseHost(opts.Endpoint, metadataEndpoint)
	if err != nil {
		return nil, err
	}
	if opts.Role != "" && !roleName.MatchString(opts.Role) {
		return nil, &OptionError{Field: "Role", Problem: fmt.Sprintf("%q is not the name of a role; copy it from the CAM console, without the qcs:: before it", opts.Role)}
	}
	transport := newTransport(metadataDial)
	transport.Proxy = nil
	s := &cvmSource{base: u.JoinPath(metadataPath), role: opts.Role, service: service{
		source: "cvm", what: "the metadata service", host: u.Host, next: transport,
		check: "check that this is a CVM and that nothing between answers instead",
	}}
	s.refused = s.metadataRefused
	return SourceFunc(s.fetch), nil
}

type cvmSource struct {
	service
	base *url.URL
	role string
}

func (s *cvmSource) metadataRefused(status int) (message, hint string) {
	switch {
	case status != http.StatusNotFound:
		return "the metadata service has no key now", s.check
	case s.role != "":
		return "the role " + s.role + " is not attached to this instance", "check its name in the console of the CVM, or name none"
	}
	return noRole, bindRole
}

func (s *cvmSource) fetch(ctx context.Context, _ Scope) (signer.Credentials, error) {
	c := &call{service: &s.service, ctx: ctx}
	role := s.role
	if role == "" {
		var err error
		if role, err = s.discover(c); err != nil {
			return signer.Credentials{}, err
		}
	}
	body, err := c.get(s.base.JoinPath(role).String(), nil)
	var answer struct {
		keyAnswer
		Code string
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	switch {
	case err != nil:
		return signer.Credentials{}, c.failure(err)
	case answer.Code != "Success":
		return signer.Credentials{}, c.error(&SourceError{
			Code: codeForm.FindString(answer.Code), Message: "the metadata service has no key for the role " + role,
			Hint: "check that the role exists and trusts CVMs", Retryable: true, Err: ErrBadAnswer,
		})
	}
	return c.checked(answer.credentials(), "")
}

// discover asks for the name of the role.
func (s *cvmSource) discover(c *call) (string, error) {
	body, err := c.get(s.base.String(), nil)
	if err != nil {
		return "", c.failure(err)
	}
	names := strings.Fields(string(body))
	for _, name := range names {
		if !roleName.MatchString(name) {
			return "", c.failure(ErrBadAnswer)
		}
	}
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", c.error(&SourceError{Code: "NoRole", Message: noRole, Hint: bindRole})
	}
	return "", c.error(&SourceError{
		Code: "SeveralRoles", Message: "this instance has the roles " + strings.Join(names, ", "), Hint: "name the one to use",
	})
}
