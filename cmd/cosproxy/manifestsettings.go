package main

import (
	"maps"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// manifest is what the templates in folder manifest print. It holds no secret.
type manifest struct {
	App          string // name of the application
	Name         string // name of cosproxy's own objects
	Image        string
	ExampleImage bool // Image must be replaced
	HasDigest    bool // of Image

	Env       []manifestVariable
	Files     []manifestFile   // secrets that the platform provides as files
	SecretEnv []manifestSecret // secrets that cosproxy accepts in a variable only

	manifestListeners
	manifestResources
	manifestEgress
	manifestDerived
	TKEToken      bool   // the pod mounts a token of its service account, for source oidc
	HostFile      string // path of CredentialsFile on the host, outside pods
	NetworkPolicy bool
	Drain         int // DrainTimeout in seconds, rounded up
}

// manifestVariable is a setting that is printed with its value.
type manifestVariable struct {
	Name, Value string
	Comment     []string // lines that precede it
}

// manifestFile is a setting with the path of a file that holds a secret.
type manifestFile struct {
	Variable string // of the path
	ByValue  string // variable that has the secret here, if it is set by value
	Key      string // name of the secret: secret-key for TENCENTCLOUD_SECRET_KEY_FILE
	From     string // path of the file on this machine; empty if the secret is set by value
	// Credential is the path on a host from which systemd loads the secret.
	Credential string
}

// manifestSecret is a setting whose value is a secret or contains one.
type manifestSecret struct{ Variable, Key string }

// The token of the service account, at the path at which TKE's webhook mounts it.
const (
	tkeTokenFolder = "/var/run/secrets/cloud.tencent.com/serviceaccount"
	tkeTokenFile   = tkeTokenFolder + "/token"
)

// newManifest parses and validates the settings as loadConfig does, but does not resolve
// them: it reads no file and looks up nothing on this machine.
func newManifest(kindName string, kind manifestKind, f manifestFlags, environ []string) (*manifest, *problems) {
	p, vars := newProblems(), env.ToMap(environ)
	m := &manifest{App: f.name, Image: f.image, NetworkPolicy: f.networkPolicy}
	m.setNames(kindName)
	omitIssuerSettings(vars, p)
	switch off := vars[variable("AdminListen")] == "off" && vars[variable("HealthListen")] == ""; {
	case kind.inPod:
		completePod(vars)
	case off && kind.hasImage: // for the health check of the container
		vars[variable("HealthListen")] = "127.0.0.1" + settingOf("HealthListen").example
	}
	c := parse(vars, p)
	validate(c, p)
	c.validateOptions(p)
	c.validatePlatform(kindName, kind, p)
	m.Drain = int((c.DrainTimeout + time.Second - 1) / time.Second)
	m.manifestResources = newManifestResources(c)
	m.manifestEgress = newManifestEgress(c)
	m.addListeners(kindName, c, p)
	c.pinSources(vars)
	m.addSettings(kindName, kind, c, vars, p)
	m.derive()
	warnProxies(vars, p)
	return m, p
}

func (m *manifest) setNames(kindName string) {
	m.Name = strings.TrimPrefix(m.App+"-cosproxy", "-")
	if m.App == "" && kindName != "systemd" {
		m.App, m.Name = "app", "app-cosproxy"
	}
	if m.Image == "" {
		m.Image, m.ExampleImage = exampleImage, true
	}
	m.HasDigest = strings.Contains(m.Image, "@")
}

// completePod sets the settings that only exist in a pod: the listener for probes and, if
// a route may use oidc, the path of the token.
func completePod(vars map[string]string) {
	if vars[variable("HealthListen")] == "" {
		vars[variable("HealthListen")] = settingOf("HealthListen").example
	}
	uses := vars[variable("TKERoleARN")] != "" || vars[variable("TKEProviderID")] != ""
	for name, value := range vars {
		uses = uses || value == "oidc" && strings.HasPrefix(name, envPrefix) && strings.HasSuffix(name, "SOURCE")
	}
	if uses {
		vars[variable("TKETokenFile")] = tkeTokenFile
	}
}

// pinSources replaces auto by the sources that it selects here: other variables of the
// platform must not change the selection.
func (c *config) pinSources(vars map[string]string) {
	for _, r := range c.routeConfigs {
		if r.auto && r.Source != "" {
			vars[r.names["Source"]] = r.Source
		}
	}
}

// addSettings adds the settings in the order of --help.
func (m *manifest) addSettings(kindName string, kind manifestKind, c *config, vars map[string]string, p *problems) {
	m.TKEToken = c.usesField("TKERoleARN")
	for _, s := range settingsOf(vars) {
		value := vars[s.variable]
		if value == "" || !c.usesField(s.field) {
			continue
		}
		if err := checkQuotable(value); err != nil {
			p.add(s.variable, "%v, which this command cannot print; remove it", err)
		}
		if omits(kindName, s.field) {
			if strings.HasSuffix(value, `\`) { // it would continue the line
				p.add(s.variable, "ends with a backslash, which a unit cannot have there; remove it")
			}
			continue
		}
		comment := c.comment(kind, s.field, value)
		switch file := s.variable + "_FILE"; {
		case s.field == "CredentialsFile" && !kind.inPod:
			m.HostFile = value
			m.addHostFile(kindName, s.variable, p)
		case s.field == "TKETokenFile":
			m.Env = append(m.Env, manifestVariable{s.variable, value, comment})
		case strings.HasSuffix(s.variable, "_FILE"):
			m.Files = append(m.Files, manifestFile{Variable: s.variable, Key: secretName(s.variable), From: value})
		case isSecretField(s.field) && isSetting(file):
			m.Files = append(m.Files, manifestFile{Variable: file, ByValue: s.variable, Key: secretName(file)})
		case isSecretField(s.field) || hasQuery(s.field, value):
			m.SecretEnv = append(m.SecretEnv, manifestSecret{s.variable, secretName(s.variable)})
		default:
			m.Env = append(m.Env, manifestVariable{s.variable, value, comment})
		}
	}
}

// omits reports whether the .socket unit has a setting instead of the environment.
func omits(kindName, field string) bool {
	return kindName == "systemd" && (field == "Listen" || field == "SocketOwner")
}

// usesField reports whether a setting has an effect: the settings of a source have none
// if no route uses the source. Secrets that are not used must not be mounted.
func (c *config) usesField(field string) bool {
	field = strings.TrimSuffix(field, "File")
	switch {
	case strings.HasPrefix(field, "Role"):
		return true // of several sources, and not secret
	case field == "STSEndpoint": // only checked, and so without a password, if a route uses it
		return slices.ContainsFunc(c.routeConfigs, func(r routeConfig) bool { return c.Source.callsSTS(r.Source) })
	}
	of := func(kind sourceKind) bool {
		fields := slices.Concat(kind.needs, slices.Collect(maps.Values(kind.names)))
		return slices.Contains(fields, field) || slices.Contains(fields, field+"File")
	}
	if field == "Token" { // not required by static, and of no other source
		return slices.ContainsFunc(c.routeConfigs, func(r routeConfig) bool { return r.Source == "static" })
	}
	ofAny := false
	for name, kind := range sourceKinds {
		if of(kind) {
			ofAny = true
			if slices.ContainsFunc(c.routeConfigs, func(r routeConfig) bool { return r.Source == name }) {
				return true
			}
		}
	}
	return !ofAny
}

// settingsOf returns all settings, including those of the numbered routes in vars.
func settingsOf(vars map[string]string) []setting {
	all := settings()
	for _, n := range routeNumbers(vars) {
		all = append(all, routeSettings(routesPrefix+strconv.Itoa(n)+"_")...)
	}
	return all
}

func isSetting(variable string) bool {
	return slices.ContainsFunc(settings(), func(s setting) bool { return s.variable == variable })
}

// isSecretField reports whether the value of a field is a secret. The SecretId is not,
// but belongs to its SecretKey: in files, both can be rotated together.
func isSecretField(field string) bool {
	f, ok := reflect.TypeFor[sourceConfig]().FieldByName(field)
	return field == "SecretID" || ok && f.Type == reflect.TypeFor[secret]()
}

// hasQuery reports whether the value is the URL of a server and has a query, which may
// contain a password.
func hasQuery(field, value string) bool {
	u, err := url.Parse(value)
	return field == "CredentialsURL" && (err != nil || u.RawQuery != "" || u.User != nil)
}

// secretName returns the name of a secret: client-token for COSPROXY_CLIENT_TOKEN_FILE.
func secretName(variable string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(variable, "_FILE"), "_")
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// addHostFile checks that the folder of HostFile can be made available. Another program
// replaces the file, so the folder is shared and not a copy of the file.
func (m *manifest) addHostFile(kindName, variable string, p *problems) {
	if !path.IsAbs(m.HostFile) {
		p.add(variable, "is not an absolute path, which it must be on the host; use for example /var/lib/cos/credentials.json")
		return
	}
	m.HostFile = path.Clean(m.HostFile)
	if kindName != "systemd" {
		if strings.Contains(path.Dir(m.HostFile), ":") {
			p.add(variable, "is in a folder with a colon in its path, which ends the path of a mount; use for example /var/lib/cos/credentials.json")
		}
		m.Env = append(m.Env, manifestVariable{Name: variable, Value: path.Join(hostFolder, path.Base(m.HostFile))})
		return
	}
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(m.HostFile, hidden) {
			p.add(variable, "is in %s, which the unit hides from cosproxy; use a folder such as /var/lib/cos", hidden)
		}
	}
	m.Env = append(m.Env, manifestVariable{Name: variable, Value: m.HostFile})
}

// hostFolder is the mount point of the folder of HostFile in a container.
const hostFolder = "/run/cosproxy-credentials"
