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

// sourceConfig is what the sources of keys need. The routes say which of
// them are used; the variables of the others may be missing.
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

	CVMRole             string `env:"COSPROXY_CVM_ROLE" desc:"For 'cvm': the role of the instance; by default the one that the metadata service names."`
	CVMMetadataEndpoint string `env:"COSPROXY_CVM_METADATA_ENDPOINT" desc:"For 'cvm': URL of the metadata service; by default 'http://metadata.tencentyun.com'."`

	CredentialsURL          string `env:"COSPROXY_CREDENTIALS_URL" example:"https://keys.internal/cos" desc:"For 'http': URL of a server that answers with keys in the JSON form of the STS SDKs."`
	CredentialsURLToken     secret `env:"COSPROXY_CREDENTIALS_URL_TOKEN" desc:"Bearer token for that server, if it wants one."`
	CredentialsURLTokenFile string `env:"COSPROXY_CREDENTIALS_URL_TOKEN_FILE" desc:"File that holds the bearer token instead, read anew for every key."`

	CredentialsFile    string `env:"COSPROXY_CREDENTIALS_FILE" example:"/run/secrets/cos-key.json" desc:"For 'file': a file with a key, as JSON or as the tools of Tencent Cloud keep it, read anew every minute."`
	CredentialsProfile string `env:"COSPROXY_CREDENTIALS_PROFILE" desc:"The profile to take in that file, where it has several; by default 'default'."`

	STSEndpoint string `env:"COSPROXY_STS_ENDPOINT" envDefault:"https://sts.tencentcloudapi.com" desc:"URL of STS, for 'sts', 'role' and 'oidc'."`
}

// sourceKind is one word of COSPROXY_SOURCE.
type sourceKind struct {
	needs []string // fields that must be there
	// unscoped says why its keys can do more than the route; empty: they cannot.
	unscoped    string
	hasDuration bool // it asks for keys with the route's Duration
	// names are the fields of sourceConfig by those of its Options, where they
	// differ.
	names map[string]string
	new   func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error)
}

var sourceKinds = map[string]sourceKind{
	"static": {
		needs:    []string{"SecretID", "SecretKey"},
		unscoped: "a given key can do all that its issuer allowed",
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
				Pair: c.pair(), Endpoint: c.STSEndpoint, Duration: d, Transport: t.toKeys,
			})
		},
	},
	"role": {
		needs: []string{"SecretID", "SecretKey", "RoleARN"}, hasDuration: true,
		names: map[string]string{"Endpoint": "STSEndpoint", "SessionName": "RoleSessionName", "ExternalID": "RoleExternalID"},
		new: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewRole(credcache.RoleOptions{
				Pair: c.pair(), Endpoint: c.STSEndpoint, RoleARN: c.RoleARN, SessionName: c.RoleSessionName,
				ExternalID: c.RoleExternalID, Duration: d, Transport: t.toKeys,
			})
		},
	},
	"oidc": {
		needs: []string{"TKEProviderID", "TKETokenFile", "TKERoleARN"}, hasDuration: true,
		unscoped: "a key for a web identity can do all that the role may",
		names: map[string]string{"Endpoint": "STSEndpoint", "SessionName": "RoleSessionName", "Region": "TKERegion",
			"ProviderID": "TKEProviderID", "TokenFile": "TKETokenFile", "RoleARN": "TKERoleARN"},
		new: func(c *sourceConfig, d time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewOIDC(credcache.OIDCOptions{
				Region: c.TKERegion, ProviderID: c.TKEProviderID, TokenFile: c.TKETokenFile, RoleARN: c.TKERoleARN,
				SessionName: c.RoleSessionName, Endpoint: c.STSEndpoint, Duration: d, Transport: t.toKeys,
			})
		},
	},
	"cvm": {
		unscoped: "the key of an instance can do all that its role may",
		names:    map[string]string{"Role": "CVMRole", "Endpoint": "CVMMetadataEndpoint"},
		new: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewCVM(credcache.CVMOptions{Role: c.CVMRole, Endpoint: c.CVMMetadataEndpoint})
		},
	},
	"http": {
		needs:    []string{"CredentialsURL"},
		unscoped: "the key server is told the scope and decides by itself what its keys can do",
		names:    map[string]string{"URL": "CredentialsURL", "Token": "CredentialsURLToken", "TokenFile": "CredentialsURLTokenFile"},
		new: func(c *sourceConfig, _ time.Duration, t *transports) (credcache.Source, error) {
			return credcache.NewHTTP(credcache.HTTPOptions{
				URL: c.CredentialsURL, Token: string(c.CredentialsURLToken), TokenFile: c.CredentialsURLTokenFile, Transport: t.toKeys,
			})
		},
	},
	"file": {
		needs:    []string{"CredentialsFile"},
		unscoped: "a key in a file can do all that its issuer allowed",
		names:    map[string]string{"Path": "CredentialsFile", "Profile": "CredentialsProfile"},
		new: func(c *sourceConfig, _ time.Duration, _ *transports) (credcache.Source, error) {
			return credcache.NewFile(credcache.FileOptions{Path: c.CredentialsFile, Profile: c.CredentialsProfile})
		},
	},
}

// pair is the long-lived pair, which a source that asks STS reads again for
// every key: a file may hold another one by then.
func (c *sourceConfig) pair() credcache.SecretPair {
	if c.SecretIDFile != "" && c.SecretKeyFile != "" {
		return credcache.FilePair(c.SecretIDFile, c.SecretKeyFile)
	}
	return credcache.FixedPair(c.SecretID, string(c.SecretKey))
}

// available are the sources that something is set for, in the order in which
// auto chooses: role before the pair alone, since it needs both; cosproxy's own
// variables before those that TKE puts into every pod. The metadata service is
// not asked, since a start must not depend on the network.
func (c *sourceConfig) available() []string {
	pair := c.SecretID != "" || c.SecretIDFile != "" || c.SecretKey != "" || c.SecretKeyFile != ""
	var names []string
	for _, source := range []struct {
		name string
		set  bool
	}{
		{"role", c.RoleARN != ""},
		{"static", c.Token != "" || c.TokenFile != ""},
		{"sts", pair && c.RoleARN == "" && c.Token == "" && c.TokenFile == ""},
		{"file", c.CredentialsFile != ""},
		{"http", c.CredentialsURL != ""},
		{"cvm", c.CVMRole != ""},
		{"oidc", c.TKEProviderID != "" || c.TKETokenFile != "" || c.TKERoleARN != ""},
	} {
		if source.set {
			names = append(names, source.name)
		}
	}
	return names
}

// validateSources checks what the sources of the routes need.
func (c *config) validateSources(p *problems) {
	for _, r := range c.routeConfigs {
		kind, known := sourceKinds[r.Source]
		if len(r.unused) > 0 {
			p.warn("%s is auto and takes %s; configured and not used: %s", r.names["Source"], r.Source, strings.Join(r.unused, ", "))
		}
		switch {
		case known:
			c.validateSource(p, &r, kind)
		case r.auto:
			p.add(r.names["Source"], "is auto, and no source is configured: set %s and %s for STS; or %s, %s, or the TKE_ variables; or write cvm for the role of the instance",
				variable("SecretID"), variable("SecretKey"), variable("CredentialsFile"), variable("CredentialsURL"))
		case r.Source == renamedSource:
			p.add(r.names["Source"], "is %s, which was renamed: write http", renamedSource)
		default:
			p.add(r.names["Source"], "is %q: write auto, static, sts, role, oidc, cvm, http or file", r.Source)
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
		p.add(variable("Token"), "does not go with %s=%s, since STS takes no temporary key: remove it, or write %[1]s=static", source, r.Source)
	case !hasToken && r.Source == "static":
		p.warn("%s=static without %s: requests are signed with a long-lived key, which no prefixes or actions limit at COS", source, variable("Token"))
	case kind.unscoped != "":
		p.warn("%s=%s: %s; only cosproxy is sure to hold applications to the prefixes and actions", source, r.Source, kind.unscoped)
	}
	sts := kind.names["Endpoint"] == "STSEndpoint"
	if u, err := url.Parse(c.Source.STSEndpoint); sts && err == nil && u.Scheme == "http" && !isLocalHost(u.Hostname()) {
		p.warn("%s is plain http: whoever can listen on the way reads the keys; write https://", variable("STSEndpoint"))
	}
	if kind.unscoped == "" && r.scope().Validate() == nil {
		_, err := r.scope().Policy() // it may be longer than CAM takes
		p.addOptions(err, r.names)
	}
}

// validateSecrets checks those of secretFields that are set directly.
func (c *sourceConfig) validateSecrets(p *problems) {
	for _, field := range secretFields() {
		switch value, file := c.value(field), field+"File"; {
		case c.value(file) == "":
			validateSecret(p, field, field, value)
		case value != "":
			p.add(variable(file), "is set as well as %s: keep one of the two", variable(field))
		}
	}
}

func (c *sourceConfig) validateNeeds(p *problems, kind sourceKind, r *routeConfig) {
	for _, field := range kind.needs {
		switch name := variable(field); {
		case c.isSet(field):
		case slices.Contains(secretFields(), field):
			p.addInvalid(name, "is required for source %s: write it, or name a file that holds it in %s", r.Source, variable(field+"File"))
		default:
			p.addInvalid(name, "is required for source %s: write for example %s", r.Source, settingOf(field).example)
		}
	}
}

// secretFields are the fields that have a twin, with File behind their names, for a
// file that holds the value instead.
func secretFields() []string { return []string{"SecretID", "SecretKey", "Token"} }

// isSet reports whether a field has a value, or is in secretFields and has a file.
func (c *sourceConfig) isSet(field string) bool {
	return c.value(field) != "" || slices.Contains(secretFields(), field) && c.value(field+"File") != ""
}

// trim removes the blanks around the values of secretFields.
func (c *sourceConfig) trim() {
	for _, field := range secretFields() {
		c.setValue(field, strings.TrimSpace(c.value(field)))
	}
}

// value is the text of a field; all are strings.
func (c *sourceConfig) value(field string) string {
	return reflect.ValueOf(c).Elem().FieldByName(field).String()
}

func (c *sourceConfig) setValue(field, text string) {
	reflect.ValueOf(c).Elem().FieldByName(field).SetString(text)
}

// variables are those of a route's source, by the fields of its Options.
func (k sourceKind) variables(r *routeConfig) map[string]string {
	all := map[string]string{"Duration": r.names["Duration"]}
	for option, field := range k.names {
		all[option] = variable(field)
	}
	return all
}

// validateSecret requires what a header and a signature can carry, so that a wrapped
// file or a stray quote is found at start. The value of field came from the setting
// from. It is never shown.
func validateSecret(p *problems, field, from, value string) {
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.add(variable(from), "is wrong: there is a blank, a line break or a character beyond ASCII inside the value; write the value alone, on one line")
	case field == "SecretID" && strings.ContainsAny(value, "&;="):
		p.add(variable(from), "is wrong: no SecretId has & ; or = in it; write it alone, as the CAM console shows it")
	default:
		return
	}
	p.invalid[variable(field)] = true
}
