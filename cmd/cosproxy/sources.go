package main

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// sourceConfig holds the settings of all sources of credentials. Those of sources that
// no route uses may be missing.
type sourceConfig struct {
	SecretID      string `env:"TENCENTCLOUD_SECRET_ID" example:"AKIDexample" desc:"SecretId of the long-lived key pair for 'sts' and 'role', or of the credentials for 'static'."`
	SecretIDFile  string `env:"TENCENTCLOUD_SECRET_ID_FILE" desc:"File that contains the SecretId. If SecretId and SecretKey are both in files, 'sts' and 'role' read them for every fetch, so that the key pair can be rotated without a restart."`
	SecretKey     secret `env:"TENCENTCLOUD_SECRET_KEY" desc:"SecretKey that belongs to the SecretId."`
	SecretKeyFile string `env:"TENCENTCLOUD_SECRET_KEY_FILE" desc:"File that contains the SecretKey."`
	Token         secret `env:"TENCENTCLOUD_TOKEN" desc:"Session token of temporary credentials, for 'static'."`
	TokenFile     string `env:"TENCENTCLOUD_TOKEN_FILE" desc:"File that contains the session token."`

	RoleARN         string `env:"COSPROXY_ROLE_ARN" example:"qcs::cam::uin/100000000001:roleName/cosproxy" desc:"For 'role': the role to assume (STS AssumeRole). With 'oidc' and 'cvm': a second role, which the credentials of the first one assume, so that COS enforces the prefixes and actions."`
	RoleSessionName string `env:"COSPROXY_ROLE_SESSION_NAME" desc:"Session name of the roles that cosproxy assumes, shown in the audit log. Default: 'cosproxy'."`
	RoleExternalID  string `env:"COSPROXY_ROLE_EXTERNAL_ID" desc:"The external ID that the trust policy of the role in 'COSPROXY_ROLE_ARN' requires."`

	TKERegion     string `env:"TKE_REGION" desc:"For 'oidc': region in which to call STS. Default: the region of the bucket or, without 'TKE_PROVIDER_ID', of the cluster. TKE sets this and the next three variables, or only the last two, in pods whose service account has a role."`
	TKEProviderID string `env:"TKE_PROVIDER_ID" example:"cls-examplex" desc:"For 'oidc': the identity provider. Default: the one that the issuer of the token names."`
	TKETokenFile  string `env:"TKE_WEB_IDENTITY_TOKEN_FILE" example:"/var/run/secrets/cloud.tencent.com/serviceaccount/token" desc:"For 'oidc': file that contains the token of the service account. It is read for every fetch."`
	TKERoleARN    string `env:"TKE_ROLE_ARN" example:"qcs::cam::uin/100000000001:roleName/cosproxy" desc:"For 'oidc': the role of the service account."`

	CVMRole             string `env:"COSPROXY_CVM_ROLE" desc:"For 'cvm': the role of the instance. Default: the role that the metadata service reports. Required if the instance has several."`
	CVMMetadataEndpoint string `env:"COSPROXY_CVM_METADATA_ENDPOINT" desc:"For 'cvm': URL of the metadata service. Default: 'http://metadata.tencentyun.com'."`

	CredentialsURL          string `env:"COSPROXY_CREDENTIALS_URL" example:"https://credentials.internal/cos" desc:"For 'http': URL of a credentials server that responds in the JSON format of the STS SDKs."`
	CredentialsURLToken     secret `env:"COSPROXY_CREDENTIALS_URL_TOKEN" desc:"Bearer token for the credentials server, if it requires one."`
	CredentialsURLTokenFile string `env:"COSPROXY_CREDENTIALS_URL_TOKEN_FILE" desc:"File that contains this bearer token. It is read for every fetch."`

	CredentialsFile    string `env:"COSPROXY_CREDENTIALS_FILE" example:"/run/secrets/cos-key.json" desc:"For 'file': file that contains credentials, as JSON or in the format of the Tencent Cloud tools. It is read every minute."`
	CredentialsProfile string `env:"COSPROXY_CREDENTIALS_PROFILE" desc:"Profile to use in that file. Default: 'default'."`

	STSEndpoint string `env:"COSPROXY_STS_ENDPOINT" envDefault:"https://sts.tencentcloudapi.com" desc:"URL of STS, for 'sts', 'role', 'oidc' and a second role."`
}

// sourceKind is one value of COSPROXY_SOURCE.
type sourceKind struct {
	needs []string // required fields
	// unscoped says why its credentials may allow more than the route; empty if they
	// do not.
	unscoped    string
	hasDuration bool // it requests credentials with the Duration of the route
	assumesRole bool // its credentials assume RoleARN, if that is set
	// names maps fields of its Options to fields of sourceConfig, if they differ.
	names map[string]string
	new   func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error)
}

var sourceKinds = map[string]sourceKind{
	"static": {
		needs:    []string{"SecretID", "SecretKey"},
		unscoped: "given credentials keep all permissions that their issuer granted",
		new: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewStatic(signer.Credentials{
				SecretID: c.SecretID, SecretKey: string(c.SecretKey), Token: string(c.Token),
			}), nil
		},
	},
	"sts": {
		needs: []string{"SecretID", "SecretKey"}, hasDuration: true,
		names: map[string]string{"Endpoint": "STSEndpoint"},
		new: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewSTS(credcache.STSOptions{
				Pair: c.pair(), Endpoint: c.STSEndpoint, Duration: d, Transport: t.toSource,
			})
		},
	},
	"role": {
		needs: []string{"SecretID", "SecretKey", "RoleARN"}, hasDuration: true,
		names: map[string]string{"Endpoint": "STSEndpoint", "SessionName": "RoleSessionName", "ExternalID": "RoleExternalID"},
		new: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewRole(credcache.RoleOptions{
				Pair: c.pair(), Endpoint: c.STSEndpoint, RoleARN: c.RoleARN, SessionName: c.RoleSessionName,
				ExternalID: c.RoleExternalID, Duration: d, Transport: t.toSource,
			})
		},
	},
	"oidc": {
		needs: []string{"TKETokenFile", "TKERoleARN"}, hasDuration: true, assumesRole: true,
		unscoped: "credentials for a web identity have all permissions of the role",
		names: map[string]string{"Endpoint": "STSEndpoint", "SessionName": "RoleSessionName", "Region": "TKERegion",
			"ProviderID": "TKEProviderID", "TokenFile": "TKETokenFile", "RoleARN": "TKERoleARN"},
		new: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewOIDC(credcache.OIDCOptions{
				Region: c.TKERegion, ProviderID: c.TKEProviderID, TokenFile: c.TKETokenFile, RoleARN: c.TKERoleARN,
				SessionName: c.RoleSessionName, Endpoint: c.STSEndpoint, Duration: d, Transport: t.toSource,
			})
		},
	},
	"cvm": {
		unscoped: "the credentials of an instance have all permissions of its role", assumesRole: true,
		names: map[string]string{"Role": "CVMRole", "Endpoint": "CVMMetadataEndpoint"},
		new: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewCVM(credcache.CVMOptions{Role: c.CVMRole, Endpoint: c.CVMMetadataEndpoint})
		},
	},
	"http": {
		needs:    []string{"CredentialsURL"},
		unscoped: "the credentials server gets the scope and decides which permissions it grants",
		names:    map[string]string{"URL": "CredentialsURL", "Token": "CredentialsURLToken", "TokenFile": "CredentialsURLTokenFile"},
		new: func(c *sourceConfig, _ time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewHTTP(credcache.HTTPOptions{
				URL: c.CredentialsURL, Token: string(c.CredentialsURLToken), TokenFile: c.CredentialsURLTokenFile, Transport: t.toSource,
			})
		},
	},
	"file": {
		needs:    []string{"CredentialsFile"},
		unscoped: "credentials in a file keep all permissions that their issuer granted",
		names:    map[string]string{"Path": "CredentialsFile", "Profile": "CredentialsProfile"},
		new: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewFile(credcache.FileOptions{Path: c.CredentialsFile, Profile: c.CredentialsProfile})
		},
	},
}

// pair returns the long-lived key pair. If it is in files, sources read them for every
// fetch.
func (c *sourceConfig) pair() credcache.SecretPair {
	if c.SecretIDFile != "" && c.SecretKeyFile != "" {
		return credcache.FilePair(c.SecretIDFile, c.SecretKeyFile)
	}
	return credcache.FixedPair(c.SecretID, string(c.SecretKey))
}

// hasPair reports whether any part of the key pair is set.
func (c *sourceConfig) hasPair() bool {
	return c.SecretID != "" || c.SecretIDFile != "" || c.SecretKey != "" || c.SecretKeyFile != ""
}

// available returns the configured sources in the order of preference of auto: those that
// use RoleARN first, since the others ignore it; role before sts, since role needs the key
// pair too; cosproxy's own variables before those that TKE sets in every pod. It does not
// query the metadata service, since startup must not depend on the network.
func (c *sourceConfig) available() []string {
	var (
		token = c.Token != "" || c.TokenFile != ""
		cvm   = c.CVMRole != ""
		oidc  = c.TKEProviderID != "" || c.TKETokenFile != "" || c.TKERoleARN != ""
		// The credentials of the instance or pod assume the role, since there is no pair.
		chain = c.RoleARN != "" && !c.hasPair()
	)
	var names []string
	for _, source := range []struct {
		name string
		set  bool
	}{
		{"role", c.RoleARN != "" && (c.hasPair() || !cvm && !oidc)},
		{"cvm", cvm && chain},
		{"oidc", oidc && chain},
		{"static", token},
		{"sts", c.hasPair() && c.RoleARN == "" && !token},
		{"file", c.CredentialsFile != ""},
		{"http", c.CredentialsURL != ""},
		{"cvm", cvm && !chain},
		{"oidc", oidc && !chain},
	} {
		if source.set {
			names = append(names, source.name)
		}
	}
	return names
}

// validateSources checks the settings of the sources that routes use.
func (c *config) validateSources(p *problems) {
	for _, r := range c.routeConfigs {
		kind, known := c.Source.kindOf(r.Source)
		if len(r.unused) > 0 {
			p.warn("%s is auto and selects %s; configured but not used: %s", r.names["Source"], r.Source, strings.Join(r.unused, ", "))
		}
		switch {
		case r.auto && r.Source == "role" && !c.Source.hasPair():
			p.add(r.names["Source"], "is auto and %s is set, but nothing that can assume this role is configured: set %s and %s; or the TKE_ variables; or %s, or this variable to cvm, for the role of the instance",
				variable("RoleARN"), variable("SecretID"), variable("SecretKey"), variable("CVMRole"))
			p.invalid[variable("SecretID")], p.invalid[variable("SecretKey")] = true, true
		case known:
			c.validateSource(p, &r, kind)
		case r.auto:
			p.add(r.names["Source"], "is auto, but no source is configured: set %s and %s for STS; or %s, %s or the TKE_ variables; or set this variable to cvm to use the role of the instance",
				variable("SecretID"), variable("SecretKey"), variable("CredentialsFile"), variable("CredentialsURL"))
		case r.Source == renamedSource:
			p.add(r.names["Source"], "is %s, which was renamed; use http", renamedSource)
		default:
			p.add(r.names["Source"], "is %q; use auto, static, sts, role, oidc, cvm, http or file", r.Source)
		}
	}
}

func (c *config) validateSource(p *problems, r *routeConfig, kind sourceKind) {
	if slices.Contains(kind.needs, "SecretID") {
		c.Source.validateSecrets(p)
	}
	c.Source.validateNeeds(p, kind, r)
	source, hasToken := r.names["Source"], c.Source.isSet("Token")
	switch {
	case hasToken && (r.Source == "sts" || r.Source == "role"):
		p.add(variable("Token"), "cannot be combined with %s=%s, since STS requires a long-lived key pair; remove it, or set %[1]s=static", source, r.Source)
	case !hasToken && r.Source == "static":
		p.warn("%s=static without %s: requests are signed with a long-lived key pair, which COS does not limit to the prefixes and actions", source, variable("Token"))
	case kind.unscoped != "":
		p.warn("%s=%s: %s; the prefixes and actions may be enforced by cosproxy alone", source, r.Source, kind.unscoped)
	}
	if u, err := url.Parse(c.Source.STSEndpoint); c.Source.callsSTS(r.Source) && err == nil && u.Scheme == "http" && !isLocalHost(u.Hostname()) {
		p.warn("%s uses plain http, which exposes the credentials on the network; use https://", variable("STSEndpoint"))
	}
	if kind.unscoped == "" && r.scope().Validate() == nil {
		_, err := r.scope().Policy() // it may exceed the maximum length of CAM
		p.addOptions(err, r.names)
	}
}

// validateSecrets checks the secretFields that are set directly, not by file.
func (c *sourceConfig) validateSecrets(p *problems) {
	for _, field := range secretFields() {
		switch value, file := c.value(field), field+"File"; {
		case c.value(file) == "":
			validateSecret(p, field, field, value)
		case value != "":
			p.add(variable(file), "and %s are both set; remove one of them", variable(field))
		}
	}
}

func (c *sourceConfig) validateNeeds(p *problems, kind sourceKind, r *routeConfig) {
	for _, field := range kind.needs {
		switch name := variable(field); {
		case c.isSet(field):
		case slices.Contains(secretFields(), field):
			p.addInvalid(name, "is required for source %s; set it, or set %s to a file that contains it", r.Source, variable(field+"File"))
		default:
			p.addInvalid(name, "is required for source %s (example: %s)", r.Source, settingOf(field).example)
		}
	}
}

// secretFields returns the fields whose value can also be in a file. The field for the
// path of the file has the suffix File.
func secretFields() []string { return []string{"SecretID", "SecretKey", "Token"} }

// isSet reports whether a field has a value or, for secretFields, a file.
func (c *sourceConfig) isSet(field string) bool {
	return c.value(field) != "" || slices.Contains(secretFields(), field) && c.value(field+"File") != ""
}

// trim removes white space around the values of secretFields.
func (c *sourceConfig) trim() {
	for _, field := range secretFields() {
		c.setValue(field, strings.TrimSpace(c.value(field)))
	}
}

// value returns the value of a field; all fields are strings.
func (c *sourceConfig) value(field string) string {
	return reflect.ValueOf(c).Elem().FieldByName(field).String()
}

func (c *sourceConfig) setValue(field, text string) {
	reflect.ValueOf(c).Elem().FieldByName(field).SetString(text)
}

// variables maps the fields of the Options of the source of r to variables.
func (k sourceKind) variables(r *routeConfig) map[string]string {
	all := map[string]string{"Duration": r.names["Duration"]}
	for option, field := range k.names {
		all[option] = variable(field)
	}
	return all
}

// validateSecret checks that a header and a signature can carry the value, so that a
// wrapped file or a stray quote is detected at startup. from is the field that the value
// of field came from. No message contains the value.
func validateSecret(p *problems, field, from, value string) {
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.add(variable(from), "is invalid: the value contains a space, a line break or a character outside ASCII; set the value alone, on one line")
	case field == "SecretID" && strings.ContainsAny(value, "&;="):
		p.add(variable(from), "is invalid: a SecretId contains none of & ; =; set it as the CAM console shows it")
	default:
		return
	}
	p.invalid[variable(field)] = true
}
