package credcache

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/signer"
)

// OIDCOptions configure NewOIDC. In a TKE pod whose service account has a role,
// the first four come from the variables that TKE sets.
type OIDCOptions struct {
	// Region of the STS call: TKE_REGION. Empty: the region in the issuer of the token if
	// ProviderID is empty too, and the region of the scope otherwise.
	Region string
	// ProviderID is the identity provider in CAM: TKE_PROVIDER_ID. Empty: the id in the
	// issuer of the token, which must be that of a TKE cluster,
	// https://<region>-oidc.tke.tencentcs.com/id/<id>.
	ProviderID string
	// TokenFile is the path of the web identity token: TKE_WEB_IDENTITY_TOKEN_FILE.
	// Required. Each fetch reads it again, because kubelet rotates the token. Surrounding
	// white space is removed.
	TokenFile string
	// RoleARN is the role, as in RoleOptions: TKE_ROLE_ARN. Required.
	RoleARN string
	// SessionName is as in RoleOptions.
	SessionName string
	// Endpoint and Transport are as in STSOptions.
	Endpoint  string
	Transport http.RoundTripper
	// Duration is as in RoleOptions.
	Duration time.Duration
}

// NewOIDC returns a Source that calls AssumeRoleWithWebIdentity of Tencent Cloud STS
// through its SDK. It needs no long-lived key pair.
//
// The scope does not limit the credentials: the call of the SDK takes no session policy,
// so they grant everything that the role allows. Give the role a policy as narrow as the
// scope. Errors are as those of NewSTS.
func NewOIDC(opts OIDCOptions) (Source, error) {
	if opts.SessionName == "" {
		opts.SessionName = sessionName
	}
	s, err := newSTSSource("oidc", "name the identity provider and the service account in the trust policy of the role",
		opts.Endpoint, opts.Duration, roleMaxDuration, opts.Transport)
	err = errors.Join(required("TokenFile", opts.TokenFile), checkRole(opts.RoleARN, opts.SessionName), err)
	if opts.Region != "" && !regionForm.MatchString(opts.Region) {
		err = errors.Join(err, &OptionError{Field: "Region", Problem: "not a region; write its short name, such as ap-beijing"})
	}
	if err != nil {
		return nil, err
	}
	return SourceFunc(func(ctx context.Context, scope Scope) (signer.Credentials, error) {
		token, err := readText(ctx, "TokenFile", opts.TokenFile)
		if err != nil {
			return signer.Credentials{}, readError(s.source, err)
		}
		params := sts.WebIdentityOptions{
			Region: cmp.Or(opts.Region, scope.Region), ProviderId: opts.ProviderID, WebIdentityToken: token,
			RoleArn: opts.RoleARN, RoleSessionName: opts.SessionName, DurationSeconds: s.seconds(),
		}
		if opts.ProviderID == "" {
			issuer, ok := tkeIssuer(token)
			if !ok {
				return signer.Credentials{}, unknownIssuer(s.source)
			}
			params.Region, params.ProviderId = cmp.Or(opts.Region, issuer.region), issuer.providerID
		}
		creds, err := s.call(ctx, "", "", token, func(c *sts.Client) (*sts.CredentialResult, error) {
			return c.AssumeRoleWithWebIdentity(&params)
		})
		if opts.ProviderID == "" {
			err = hintProvider(err)
		}
		return creds, err
	}), nil
}

// required returns an *OptionError if value is empty.
func required(field, value string) error {
	if value == "" {
		return &OptionError{Field: field, Problem: "missing; set it"}
	}
	return nil
}
