package main

import (
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/caarlos0/env/v11"
)

// config is every setting. Nothing else in the program knows the environment:
// --help, the tables in README.md and the names in messages come from the tags
// here, of routeConfig and of sourceConfig. Every field has a desc, in which
// 'single quotes' mark what is typed. A field whose value can be missing or
// unreadable has an example too.
type config struct {
	// Route is the one route of the short form, and what the numbered ones fall
	// back to.
	Route  routeConfig `envPrefix:"COSPROXY_"`
	Source sourceConfig

	Listen          address  `env:"COSPROXY_LISTEN" envDefault:"127.0.0.1:4360" example:"127.0.0.1:4360" desc:"Where applications ask: 'host:port' ('localhost:port' is 127.0.0.1 and ::1), 'unix:///path', or 'systemd' for the socket that systemd opened, 'systemd:NAME' where it opened several."`
	AdminListen     address  `env:"COSPROXY_ADMIN_LISTEN" envDefault:"127.0.0.1:4361" example:"127.0.0.1:4361" desc:"Where '/livez', '/readyz', '/metrics' and '/status' are: 'host:port', 'unix:///path' or 'systemd:NAME' as above, or 'off'."`
	SocketMode      fileMode `env:"COSPROXY_SOCKET_MODE" envDefault:"0600" example:"0660" desc:"Who may connect to the Unix sockets that cosproxy opens, as chmod writes it."`
	SocketOwner     owner    `env:"COSPROXY_SOCKET_OWNER" example:"app:www-data" desc:"'user:group' that these sockets are given to, names or numbers; one of the two may be left out, as in ':www-data'."`
	TLSCertFile     string   `env:"COSPROXY_TLS_CERT_FILE" desc:"PEM file with the certificate and its chain, to speak TLS on TCP, to applications and on the admin listener. Read anew when it changes."`
	TLSKeyFile      string   `env:"COSPROXY_TLS_KEY_FILE" desc:"PEM file with the key of the certificate."`
	UnsafeListen    bool     `env:"COSPROXY_UNSAFE_LISTEN" envDefault:"false" example:"true" desc:"'true' lets both listen beyond this machine. Without a token, whoever reaches them uses the bucket."`
	AllowedHosts    list     `env:"COSPROXY_ALLOWED_HOSTS" example:"cosproxy.internal" desc:"Names or addresses that requests may have in Host beside loopback ones, comma-separated, without ports."`
	AllowedOrigins  list     `env:"COSPROXY_ALLOWED_ORIGINS" example:"https://app.example" desc:"Sites whose pages may use cosproxy through a browser, comma-separated, as 'scheme://host:port'. All others are refused, also for reads."`
	ClientTokenFile string   `env:"COSPROXY_TOKEN_FILE" desc:"File with a token that each request has to bring, as 'Authorization: Bearer' or as the password of 'http_proxy'. Read anew when it changes; while it is empty or cannot be read, nobody is let in."`

	Endpoint  string `env:"COSPROXY_ENDPOINT" envDefault:"https://{bucket}.cos.{region}.myqcloud.com" desc:"URL of the bucket; '{bucket}' and '{region}' are replaced."`
	ConnectTo string `env:"COSPROXY_CONNECT_TO" desc:"'host:port' to dial for COS, while Host, TLS name and signature keep the name of the endpoint."`
	CAFile    string `env:"COSPROXY_CA_FILE" desc:"PEM file of certificates to trust for COS, STS and the key server, beside those of the system."`

	Checksums bool `env:"COSPROXY_CHECKSUMS" envDefault:"true" example:"false" desc:"'false' leaves out the CRC-64 of uploads and whole downloads, which costs about a tenth of a second of CPU per GiB on amd64 (see 'make bench'). With it, an upload that COS stored differently is an error, and a damaged download is broken off."`

	MaxRequests    int           `env:"COSPROXY_MAX_REQUESTS" envDefault:"1024" example:"200" desc:"How many requests may be with COS at once."`
	MaxQueued      int           `env:"COSPROXY_MAX_QUEUED" envDefault:"1024" example:"200" desc:"How many more may wait for their turn; '0' lets none wait. The others are answered with 503 SlowDown."`
	QueueTimeout   time.Duration `env:"COSPROXY_QUEUE_TIMEOUT" envDefault:"10s" example:"10s" desc:"How long a request may wait for its turn."`
	MaxBody        size          `env:"COSPROXY_MAX_BODY" example:"100MiB" desc:"Length of the largest request body that is taken, such as '100MiB'. COS decides if it is unset."`
	MaxRequestLine size          `env:"COSPROXY_MAX_REQUEST_LINE" envDefault:"16KiB" example:"16KiB" desc:"Length of the longest request line: method, path and query."`
	MaxHeaders     int           `env:"COSPROXY_MAX_HEADERS" envDefault:"100" example:"100" desc:"How many header fields a request may have."`
	MaxHeaderBytes size          `env:"COSPROXY_MAX_HEADER_BYTES" envDefault:"64KiB" example:"64KiB" desc:"Length of request line and header fields together."`
	HeaderTimeout  time.Duration `env:"COSPROXY_HEADER_TIMEOUT" envDefault:"10s" example:"10s" desc:"How long a client may take to send the header of a request."`
	IdleTimeout    time.Duration `env:"COSPROXY_IDLE_TIMEOUT" envDefault:"2m" example:"2m" desc:"How long a connection without a request is kept."`
	StallTimeout   time.Duration `env:"COSPROXY_STALL_TIMEOUT" envDefault:"1m" example:"1m" desc:"How long a body may stand still, either way, or COS take to begin its answer, before the request is ended. An upload stands still with less than 1 KiB in this time; of a download, the client has to take 256 KiB."`

	Splay         time.Duration `env:"COSPROXY_SPLAY" envDefault:"20s" example:"20s" desc:"The first key is fetched after a random part of this, so that a fleet that starts at once keeps within the quota of STS; a request that comes earlier has it fetched at once. With 'oidc', about one second for every 8 pods of the account."`
	ShutdownDelay time.Duration `env:"COSPROXY_SHUTDOWN_DELAY" envDefault:"0s" example:"5s" desc:"How long new requests are accepted after SIGTERM or SIGHUP, with '/readyz' at 503 and 'Connection: close' on every response. In a pod, '5s' lets applications that are stopped together with cosproxy finish."`
	DrainTimeout  time.Duration `env:"COSPROXY_DRAIN_TIMEOUT" envDefault:"25s" example:"25s" desc:"How long requests may go on after SIGTERM or SIGHUP, counted from the signal, before they are cut off. Kubernetes kills a pod after 30s unless told otherwise."`
	LogFormat     string        `env:"COSPROXY_LOG_FORMAT" envDefault:"text" desc:"'text' or 'json'."`
	LogLevel      slog.Level    `env:"COSPROXY_LOG_LEVEL" envDefault:"info" example:"debug" desc:"'debug', 'info', 'warn' or 'error'. Each request is a line at 'info'."`

	routes   []*routeConfig // those to serve, complete: of the short form, or numbered
	roots    *x509.CertPool // the system's and CAFile's; nil without CAFile
	warnings []string       // what is allowed and should be seen all the same
}

// parseConfig reads and checks every setting. The error lists all mistakes, one
// a line, without a secret. The source of a route is never "auto" afterwards.
func parseConfig(environ []string) (*config, error) {
	cfg := new(config)
	found := &mistakes{broken: make(map[string]bool)}
	vars := env.ToMap(environ)
	found.addParsed(settings(), env.ParseWithOptions(cfg, env.Options{Environment: vars}))
	cfg.parseRoutes(vars, found)
	cfg.check(found)
	checkProxies(found, vars)
	cfg.checkLoops(found, vars)
	cfg.warnUnknown(vars)
	return cfg, errors.Join(found.errs...)
}

func (c *config) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
