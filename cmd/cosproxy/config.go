package main

import (
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/caarlos0/env/v11"

	"cosproxy/credcache"
	"cosproxy/proxy"
	"cosproxy/signer"
)

// config is every setting. Nothing else in the program knows the environment:
// --help, the table in README.md and the names in messages come from the tags.
// Every field has a desc, in which 'single quotes' mark what is typed. A field
// whose value can be missing or unreadable has an example too.
type config struct {
	Bucket   string `env:"COSPROXY_BUCKET,notEmpty" example:"examplebucket-1250000000" desc:"The bucket, with its APPID."`
	Region   string `env:"COSPROXY_REGION,notEmpty" example:"ap-guangzhou" desc:"The region of the bucket."`
	Prefixes list   `env:"COSPROXY_PREFIXES,notEmpty" example:"uploads/*,a.txt" desc:"The object keys that may be touched, comma-separated: 'uploads/*' is all that begins with 'uploads/', 'a.txt' is that one key, '*' is the whole bucket."`
	Actions  list   `env:"COSPROXY_ACTIONS,notEmpty" example:"read,upload" desc:"What may be done with them, comma-separated: 'read', 'list', 'upload', 'write', 'delete', COS actions such as 'name/cos:GetObject', or '*' for all."`

	Source        string        `env:"COSPROXY_SOURCE" envDefault:"auto" desc:"Where keys come from. 'sts' asks STS for temporary keys with the pair below, 'static' uses the key below as it is, 'auto' is 'static' if there is a token and else 'sts'."`
	SecretID      string        `env:"TENCENTCLOUD_SECRET_ID" desc:"SecretId of the pair for 'sts', or of the key for 'static'."`
	SecretIDFile  string        `env:"TENCENTCLOUD_SECRET_ID_FILE" desc:"File that holds the SecretId instead."`
	SecretKey     secret        `env:"TENCENTCLOUD_SECRET_KEY" desc:"SecretKey that belongs to the SecretId."`
	SecretKeyFile string        `env:"TENCENTCLOUD_SECRET_KEY_FILE" desc:"File that holds the SecretKey instead."`
	Token         secret        `env:"TENCENTCLOUD_TOKEN" desc:"Session token of a temporary key, for 'static'."`
	TokenFile     string        `env:"TENCENTCLOUD_TOKEN_FILE" desc:"File that holds the token instead."`
	Duration      time.Duration `env:"COSPROXY_DURATION" envDefault:"30m" example:"30m" desc:"Life of the keys to ask of STS, at most 36h, or 2h with the pair of a root account."`

	Listen       address `env:"COSPROXY_LISTEN" envDefault:"127.0.0.1:4360" example:"127.0.0.1:4360" desc:"Where applications ask: 'host:port' or 'unix:///path'."`
	AdminListen  address `env:"COSPROXY_ADMIN_LISTEN" envDefault:"127.0.0.1:4361" example:"127.0.0.1:4361" desc:"Where '/livez', '/readyz', '/metrics' and '/status' are: 'host:port', 'unix:///path' or 'off'."`
	UnsafeListen bool    `env:"COSPROXY_UNSAFE_LISTEN" envDefault:"false" example:"true" desc:"'true' lets both listen beyond this machine. Whoever reaches them uses the bucket without a key."`
	AllowedHosts list    `env:"COSPROXY_ALLOWED_HOSTS" example:"cosproxy.internal" desc:"Names or addresses that requests may have in Host beside loopback ones, comma-separated, without ports."`

	Endpoint    string `env:"COSPROXY_ENDPOINT" envDefault:"https://{bucket}.cos.{region}.myqcloud.com" desc:"URL of the bucket; '{bucket}' and '{region}' are replaced."`
	ConnectTo   string `env:"COSPROXY_CONNECT_TO" desc:"'host:port' to dial for COS, while Host, TLS name and signature keep the name of the endpoint."`
	STSEndpoint string `env:"COSPROXY_STS_ENDPOINT" envDefault:"https://sts.tencentcloudapi.com" desc:"URL of STS."`
	CAFile      string `env:"COSPROXY_CA_FILE" desc:"PEM file of certificates to trust for COS and STS, beside those of the system."`

	DrainTimeout time.Duration `env:"COSPROXY_DRAIN_TIMEOUT" envDefault:"30s" example:"30s" desc:"How long requests in flight may go on after SIGTERM before they are cut off."`
	LogFormat    string        `env:"COSPROXY_LOG_FORMAT" envDefault:"text" desc:"'text' or 'json'."`
	LogLevel     slog.Level    `env:"COSPROXY_LOG_LEVEL" envDefault:"info" example:"debug" desc:"'debug', 'info', 'warn' or 'error'. Each request is a line at 'info'."`

	roots    *x509.CertPool // the system's and CAFile's; nil without CAFile
	warnings []string       // what is allowed and should be seen all the same
}

// parseConfig reads and checks every setting. The error lists all mistakes, one
// a line, without a secret. Source is never "auto" afterwards.
func parseConfig(environ []string) (*config, error) {
	cfg := new(config)
	found := &mistakes{broken: make(map[string]bool)}
	vars := env.ToMap(environ)
	found.addParsed(env.ParseWithOptions(cfg, env.Options{Environment: vars}))
	cfg.check(found)
	cfg.warnUnknown(vars)
	return cfg, errors.Join(found.errs...)
}

func (c *config) scope() credcache.Scope {
	return credcache.Scope{Bucket: c.Bucket, Region: c.Region, Prefixes: c.Prefixes, Actions: c.Actions}
}

// source needs no transport to be checked for mistakes.
func (c *config) source(transport http.RoundTripper) (credcache.Source, error) {
	if c.Source == "static" {
		return credcache.NewStatic(signer.Credentials{
			SecretID: c.SecretID, SecretKey: string(c.SecretKey), Token: string(c.Token),
		}), nil
	}
	return credcache.NewSTS(credcache.STSOptions{
		SecretID: c.SecretID, SecretKey: string(c.SecretKey),
		Endpoint: c.STSEndpoint, Duration: c.Duration, Transport: transport,
	})
}

func (c *config) route() (proxy.Route, error) {
	actions, err := credcache.ExpandActions(c.Actions)
	return proxy.Route{
		Bucket: c.Bucket, Region: c.Region, Endpoint: c.Endpoint,
		Prefixes: c.Prefixes, Actions: actions,
	}, err
}

func (c *config) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
