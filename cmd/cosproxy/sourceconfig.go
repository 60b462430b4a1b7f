package main

import (
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// sourceConfig is what the sources of keys need. Which of them are used stands
// in the routes; the variables of the others may be missing.
type sourceConfig struct {
	SecretID      string `env:"TENCENTCLOUD_SECRET_ID" example:"AKIDexample" desc:"SecretId of the long-lived pair for 'sts' and 'role', or of the key for 'static'."`
	SecretIDFile  string `env:"TENCENTCLOUD_SECRET_ID_FILE" desc:"File that holds the SecretId instead. Where both halves of the pair stand in files, 'sts' and 'role' read them anew for every key, so that the pair can be replaced."`
	SecretKey     secret `env:"TENCENTCLOUD_SECRET_KEY" desc:"SecretKey that belongs to the SecretId."`
	SecretKeyFile string `env:"TENCENTCLOUD_SECRET_KEY_FILE" desc:"File that holds the SecretKey instead."`
	Token         secret `env:"TENCENTCLOUD_TOKEN" desc:"Session token of a temporary key, for 'static'."`
	TokenFile     string `env:"TENCENTCLOUD_TOKEN_FILE" desc:"File that holds the token instead."`

	RoleARN         string `env:"COSPROXY_ROLE_ARN" example:"qcs::cam::uin/100000000001:roleName/cosproxy" desc:"For 'role': the role that STS AssumeRole takes on with the pair."`
	RoleSessionName string `env:"COSPROXY_ROLE_SESSION_NAME" desc:"For 'role' and 'oidc': the name of the session in the audit log; by default 'cosproxy'."`
	RoleExternalID  string `env:"COSPROXY_ROLE_EXTERNAL_ID" desc:"For 'role': the external id that the role asks for."`

	TKERegion     string `env:"TKE_REGION" desc:"For 'oidc': the region to call STS in; by default that of the bucket. TKE sets this and the next three in pods whose service account has a role."`
	TKEProviderID string `env:"TKE_PROVIDER_ID" example:"cls-examplex" desc:"For 'oidc': the identity provider."`
	TKETokenFile  string `env:"TKE_WEB_IDENTITY_TOKEN_FILE" example:"/var/run/secrets/cloud.tencent.com/serviceaccount/token" desc:"For 'oidc': the file with the token of the service account, read anew for every key."`
	TKERoleARN    string `env:"TKE_ROLE_ARN" example:"qcs::cam::uin/100000000001:roleName/cosproxy" desc:"For 'oidc': the role to take on."`

	CVMRole     string `env:"COSPROXY_CVM_ROLE" desc:"For 'cvm': the role of the instance; by default the one that the metadata service names."`
	CVMMetadata string `env:"COSPROXY_CVM_METADATA" desc:"For 'cvm': URL of the metadata service; by default 'http://metadata.tencentyun.com'."`

	KeyEndpoint          string `env:"COSPROXY_KEY_ENDPOINT" example:"https://keys.internal/cos" desc:"For 'endpoint': URL of a server that answers with keys in the JSON form of the STS SDKs."`
	KeyEndpointToken     secret `env:"COSPROXY_KEY_ENDPOINT_TOKEN" desc:"Bearer token for that server, if it wants one."`
	KeyEndpointTokenFile string `env:"COSPROXY_KEY_ENDPOINT_TOKEN_FILE" desc:"File that holds the bearer token instead, read anew for every key."`

	KeyFile        string `env:"COSPROXY_KEY_FILE" example:"/run/secrets/cos-key.json" desc:"For 'file': a file with a key, as JSON or as the tools of Tencent Cloud keep it, read anew every minute."`
	KeyFileProfile string `env:"COSPROXY_KEY_FILE_PROFILE" desc:"The profile to take in that file, where it has several; by default 'default'."`

	STSEndpoint string `env:"COSPROXY_STS_ENDPOINT" envDefault:"https://sts.tencentcloudapi.com" desc:"URL of STS, for 'sts', 'role' and 'oidc'."`
}

// sourceKind is one word of COSPROXY_SOURCE.
type sourceKind struct {
	needs []string // fields that must be there
	wide  string   // why its keys can do more than the route; "": they cannot
	timed bool     // it asks for keys with the route's Duration
	// names are the fields of sourceConfig by those of its Options, where they
	// differ.
	names map[string]string
	open  func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error)
}

var sourceKinds = map[string]sourceKind{
	"static": {
		needs: []string{"SecretID", "SecretKey"},
		wide:  "a given key can do all that its issuer allowed",
		open: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewStatic(signer.Credentials{
				SecretID: c.SecretID, SecretKey: string(c.SecretKey), Token: string(c.Token),
			}), nil
		},
	},
	"sts": {
		needs: []string{"SecretID", "SecretKey"}, timed: true,
		names: map[string]string{"Endpoint": "STSEndpoint"},
		open: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewSTS(credcache.STSOptions{
				Pair: c.pair(), Endpoint: c.STSEndpoint, Duration: d, Transport: t.toKeys,
			})
		},
	},
	"role": {
		needs: []string{"SecretID", "SecretKey", "RoleARN"}, timed: true,
		names: map[string]string{"Endpoint": "STSEndpoint", "SessionName": "RoleSessionName", "ExternalID": "RoleExternalID"},
		open: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewRole(credcache.RoleOptions{
				Pair: c.pair(), Endpoint: c.STSEndpoint, RoleARN: c.RoleARN, SessionName: c.RoleSessionName,
				ExternalID: c.RoleExternalID, Duration: d, Transport: t.toKeys,
			})
		},
	},
	"oidc": {
		needs: []string{"TKEProviderID", "TKETokenFile", "TKERoleARN"}, timed: true,
		wide: "a key for a web identity can do all that the role may",
		names: map[string]string{"Endpoint": "STSEndpoint", "SessionName": "RoleSessionName", "Region": "TKERegion",
			"ProviderID": "TKEProviderID", "TokenFile": "TKETokenFile", "RoleARN": "TKERoleARN"},
		open: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewOIDC(credcache.OIDCOptions{
				Region: c.TKERegion, ProviderID: c.TKEProviderID, TokenFile: c.TKETokenFile, RoleARN: c.TKERoleARN,
				SessionName: c.RoleSessionName, Endpoint: c.STSEndpoint, Duration: d, Transport: t.toKeys,
			})
		},
	},
	"cvm": {
		wide:  "the key of an instance can do all that its role may",
		names: map[string]string{"Role": "CVMRole", "Endpoint": "CVMMetadata"},
		open: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewCVM(credcache.CVMOptions{Role: c.CVMRole, Endpoint: c.CVMMetadata})
		},
	},
	"endpoint": {
		needs: []string{"KeyEndpoint"},
		wide:  "the key server is told the scope and decides by itself what its keys can do",
		names: map[string]string{"URL": "KeyEndpoint", "Token": "KeyEndpointToken", "TokenFile": "KeyEndpointTokenFile"},
		open: func(c *sourceConfig, _ time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewEndpoint(credcache.EndpointOptions{
				URL: c.KeyEndpoint, Token: string(c.KeyEndpointToken), TokenFile: c.KeyEndpointTokenFile, Transport: t.toKeys,
			})
		},
	},
	"file": {
		needs: []string{"KeyFile"},
		wide:  "a key in a file can do all that its issuer allowed",
		names: map[string]string{"Path": "KeyFile", "Profile": "KeyFileProfile"},
		open: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewFile(credcache.FileOptions{Path: c.KeyFile, Profile: c.KeyFileProfile})
		},
	},
}

// pair is the long-lived pair, which a source that asks STS takes anew for
// every key: a file may hold another one by then.
func (c *sourceConfig) pair() credcache.KeyPair {
	if c.SecretIDFile != "" && c.SecretKeyFile != "" {
		return credcache.FilePair(c.SecretIDFile, c.SecretKeyFile)
	}
	return credcache.FixedPair(c.SecretID, string(c.SecretKey))
}
