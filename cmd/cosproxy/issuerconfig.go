package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache/issuer"
	"cosproxy/proxy"
)

// issuerConfig holds the settings of cosproxy issuer, in addition to those of routes,
// sources, limits and the log. The sidecar does not use them.
type issuerConfig struct {
	IssuerListen  address `env:"COSPROXY_ISSUER_LISTEN" envDefault:"127.0.0.1:4364" example:"0.0.0.0:4364" desc:"Address for sidecars: 'host:port' or 'unix:///path'. An address that other machines can reach requires 'COSPROXY_TLS_CERT_FILE'."`
	TokensDir     string  `env:"COSPROXY_ISSUER_TOKENS_DIR" example:"/run/secrets/callers" desc:"Directory with one file for each caller: its name is the name of the caller, its content the bearer token. It is reloaded on change."`
	JWKS          string  `env:"COSPROXY_ISSUER_JWKS" example:"https://kubernetes.default.svc/openid/v1/jwks" desc:"File or https URL of the JWKS that verifies the tokens of Kubernetes service accounts. It is fetched again every 10 minutes, and for an unknown key ID."`
	JWKSTokenFile string  `env:"COSPROXY_ISSUER_JWKS_TOKEN_FILE" desc:"File with the bearer token for the URL of the JWKS, if it requires one. It is read for every fetch."`
	JWKSCAFile    string  `env:"COSPROXY_ISSUER_JWKS_CA_FILE" example:"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" desc:"PEM file with the CA certificates to trust for the URL of the JWKS, and for nothing else. Default: as for STS."`
	JWTIssuer     string  `env:"COSPROXY_ISSUER_JWT_ISSUER" example:"https://kubernetes.default.svc.cluster.local" desc:"Issuer ('iss') of these tokens, exactly as in the token."`
	JWTAudience   string  `env:"COSPROXY_ISSUER_JWT_AUDIENCE" example:"cosproxy-issuer" desc:"The only audience ('aud') that these tokens may have. Use a name that no other service accepts."`
	MaxScopes     int     `env:"COSPROXY_ISSUER_MAX_SCOPES" envDefault:"32" example:"32" desc:"Maximum number of different scopes for which one caller has valid credentials. Requests for further ones get 429. Each replica counts the credentials that it has issued since its start."`
}

const (
	// tokensTimeout limits a scan of the directory of tokens, which may have thousands of files.
	tokensTimeout = 5 * time.Second
	// tokensRetry is the time to the next scan after a failed one, so that not every request
	// starts one.
	tokensRetry = time.Second
)

// callersField is the field of routeConfig that only cosproxy issuer uses.
const callersField = "Callers"

// isIssuerField reports whether only cosproxy issuer uses a field.
func isIssuerField(field string) bool {
	_, found := reflect.TypeFor[issuerConfig]().FieldByName(field)
	return found || field == callersField
}

// loadIssuerConfig is loadConfig for cosproxy issuer.
func loadIssuerConfig(environ []string) (*resolved, error) {
	p := newProblems()
	c := parse(env.ToMap(environ), p)
	c.issues = true
	for i := range c.routeConfigs {
		r := &c.routeConfigs[i]
		if r.settings != envPrefix {
			r.name = strconv.Itoa(i) // neither hosts nor paths lead to the routes of an issuer
		}
	}
	validateIssuer(c, p)
	r := resolve(*c, p)
	r.resolveCallers(p)
	r.warnings = p.warnings
	return r, p.err()
}

// loadAnyConfig is loadIssuerConfig if a route has callers, else loadConfig.
func loadAnyConfig(environ []string) (*resolved, error) {
	if len(callersVariables(env.ToMap(environ))) > 0 {
		return loadIssuerConfig(environ)
	}
	return loadConfig(environ)
}

// callersVariables returns the variables that are set and list callers of a route, sorted.
func callersVariables(vars map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		rest := strings.TrimPrefix(name, routeVariable.FindString(name))
		if vars[name] != "" && (name == variable(callersField) || rest != name && envPrefix+rest == variable(callersField)) {
			names = append(names, name)
		}
	}
	return names
}

// rejectIssuerSettings reports settings of cosproxy issuer in the environment of the sidecar,
// which does not restrict its clients by them.
func rejectIssuerSettings(vars map[string]string, p *problems) {
	for _, name := range callersVariables(vars) {
		p.add(name, "is a setting of cosproxy issuer: the sidecar serves every client; remove it")
	}
	for _, s := range issuerSettings() {
		if vars[s.variable] != "" && s.field != callersField {
			p.warn("%s has no effect without cosproxy issuer", s.variable)
		}
	}
}

func validateIssuer(c *config, p *problems) {
	for i := range c.routeConfigs {
		r := &c.routeConfigs[i]
		r.validate(p)
		r.validateForIssuer(c, p)
	}
	c.validateSources(p)
	c.validateGuards(p)
	c.validateIssuerListen(p)
	c.validateAuthentication(p)
	c.validateLimits(p)
	c.validateShutdown(p)
	c.validateLog(p)
	if c.Issuer.MaxScopes <= 0 {
		p.add(variable("MaxScopes"), "must be greater than zero (example: %s)", settingOf("MaxScopes").example)
	}
}

// validateForIssuer checks the callers and the source of a route, and reports settings that
// have no effect.
func (r *routeConfig) validateForIssuer(c *config, p *problems) {
	if len(r.Callers) == 0 {
		p.add(r.names["Callers"], "is required: list the callers that may use the route (example: %s)", settingOf(callersField).example)
	}
	for _, caller := range r.Callers {
		switch err := issuer.CheckCaller(caller); {
		case err != nil:
			p.add(r.names["Callers"], "is invalid: %v", err)
		case issuer.IsServiceAccount(caller) && c.Issuer.JWKS == "":
			p.add(r.names["Callers"], "lists %s, but service accounts cannot be verified; set %s", caller, variable("JWKS"))
		case !issuer.IsServiceAccount(caller) && c.Issuer.TokensDir == "":
			p.add(r.names["Callers"], "lists %s, but there are no tokens; set %s", caller, variable("TokensDir"))
		}
	}
	if kind, known := c.Source.kindOf(r.Source); known && kind.unscoped != "" {
		p.add(r.names["Source"], "is %s, which cosproxy issuer cannot use: %s; use sts or role, or set %s with oidc or cvm", r.Source, kind.unscoped, variable("RoleARN"))
	}
	if r.PathPrefix != "/" {
		p.warn("%s has no effect on cosproxy issuer", r.names["PathPrefix"])
	}
	if len(r.Hosts) > 0 {
		p.warn("%s has no effect on cosproxy issuer", r.names["Hosts"])
	}
	if r.Dialect != proxy.DialectCOS {
		p.warn("%s has no effect on cosproxy issuer", r.names["Dialect"])
	}
	if r.ObjectPrefix != "" {
		p.warn("%s has no effect on cosproxy issuer", r.names["ObjectPrefix"])
	}
}

// validateIssuerListen requires TLS for an address that other machines can reach: responses
// hold credentials.
func (c *config) validateIssuerListen(p *problems) {
	c.validateListeners(p)
	at, name := c.Issuer.IssuerListen, variable("IssuerListen")
	switch {
	case at.network == "" || at.network == "systemd":
		p.add(name, "is %s; use host:port or unix:///path", at)
	case !at.local() && c.TLSCertFile == "":
		p.add(name, "is %s, which other machines can reach, and responses hold credentials; set %s and %s, or use a loopback address or a Unix socket",
			at, variable("TLSCertFile"), variable("TLSKeyFile"))
	}
}

// validateAuthentication checks how callers authenticate.
func (c *config) validateAuthentication(p *problems) {
	jwt, onlyForURL := []string{"JWTIssuer", "JWTAudience"}, []string{"JWKSTokenFile", "JWKSCAFile"}
	if c.Issuer.JWKS == "" {
		for _, field := range append(jwt, onlyForURL...) {
			if reflect.ValueOf(c.Issuer).FieldByName(field).String() != "" {
				p.add(variable(field), "has no effect without %s; set both, or remove it", variable("JWKS"))
			}
		}
		return
	}
	for _, field := range jwt {
		if reflect.ValueOf(c.Issuer).FieldByName(field).String() == "" {
			p.add(variable(field), "is required with %s (example: %s)", variable("JWKS"), settingOf(field).example)
		}
	}
	if !isURL(c.Issuer.JWKS) {
		for _, field := range onlyForURL {
			if reflect.ValueOf(c.Issuer).FieldByName(field).String() != "" {
				p.add(variable(field), "has no effect, since %s is a file; remove it", variable("JWKS"))
			}
		}
		return
	}
	u, err := url.Parse(c.Issuer.JWKS)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLocalHost(u.Hostname())) {
		p.addInvalid(variable("JWKS"), "is neither a file nor an https URL without a user (example: %s)", settingOf("JWKS").example)
	}
}

// isURL reports whether the value of JWKS is a URL, not a file.
func isURL(text string) bool { return strings.Contains(text, "://") }

// resolveCallers reads the tokens, the CA of the JWKS and the JWKS, if it is a file, once.
func (c *resolved) resolveCallers(p *problems) {
	ctx, cancel := context.WithTimeout(context.Background(), tokensTimeout)
	defer cancel()
	if c.Issuer.TokensDir != "" {
		tokens, ignored, err := issuer.ReadTokens(ctx, c.Issuer.TokensDir)
		if err != nil {
			p.add(variable("TokensDir"), "is a directory that cannot be read: %v; use one with a file for each caller", err)
		} else {
			c.warnTokens(tokens.Callers(), ignored, p)
		}
	}
	c.resolveJWKSRoots(p)
	if c.Issuer.JWKS == "" || isURL(c.Issuer.JWKS) {
		return
	}
	if _, err := c.readJWKS(ctx, nil); err != nil {
		p.add(variable("JWKS"), "is a file that cannot be used: %v; use the JWKS of the cluster (kubectl get --raw /openid/v1/jwks), or its URL", err)
	}
}

// warnTokens warns about tokens that are not usable, and listed callers without one.
func (c *resolved) warnTokens(known, ignored []string, p *problems) {
	for _, text := range ignored {
		p.warn("%s: %s; it is ignored", variable("TokensDir"), text)
	}
	for _, r := range c.routes {
		for _, caller := range r.Callers {
			if !issuer.IsServiceAccount(caller) && !slices.Contains(known, caller) {
				p.warn("%s lists %s, but %s has no usable file with this name; it cannot use the route until there is one", r.names["Callers"], caller, variable("TokensDir"))
			}
		}
	}
}

// issuerTokens returns a function that reads the tokens again after some time.
func (c *resolved) issuerTokens(log *slog.Logger) func() (*issuer.Tokens, error) {
	if c.Issuer.TokensDir == "" {
		return nil
	}
	known := ""
	files := &reloader[*issuer.Tokens]{log: log, timeout: tokensTimeout, retry: tokensRetry, load: func(ctx context.Context) (*issuer.Tokens, error) {
		tokens, ignored, err := issuer.ReadTokens(ctx, c.Issuer.TokensDir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; all tokens are rejected until the directory and its files can be read", variable("TokensDir"), err)
		}
		if text := strings.Join(ignored, "; "); text != known {
			known = text
			if text != "" {
				log.Error("tokens of callers are ignored", "error.message", errors.New(text))
			}
		}
		return tokens, nil
	}}
	return files.get
}
