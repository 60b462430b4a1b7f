package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// config holds all settings. Only this package reads the environment. --help, the
// tables in README.md and the names in messages come from the tags of config,
// routeConfig and sourceConfig. Every field has a desc, in which 'single quotes' mark
// literals. A field whose value can be missing or invalid also has an example.
type config struct {
	// Route is the only route of the short form, and the fallback of numbered routes.
	Route  routeConfig `envPrefix:"COSPROXY_"`
	Source sourceConfig
	Issuer issuerConfig

	Listen          address   `env:"COSPROXY_LISTEN" envDefault:"127.0.0.1:4360" example:"127.0.0.1:4360" desc:"Address for applications: 'host:port' ('localhost:port' listens on 127.0.0.1 and ::1), 'unix:///path', 'systemd' for a socket that systemd passes, or 'systemd:NAME' if it passes several."`
	AdminListen     address   `env:"COSPROXY_ADMIN_LISTEN" envDefault:"127.0.0.1:4361" example:"127.0.0.1:4361" desc:"Address of the admin pages '/livez', '/readyz', '/startupz', '/metrics' and '/status': 'host:port', 'unix:///path' or 'systemd:NAME' as above, or 'off'."`
	HealthListen    address   `env:"COSPROXY_HEALTH_LISTEN" example:":4362" desc:"Address for probes of Kubernetes: '/livez', '/readyz' and '/startupz', with empty responses and without TLS. Other machines may connect, as with ':4362'. Same forms as 'COSPROXY_ADMIN_LISTEN'. Default: off."`
	MetricsListen   address   `env:"COSPROXY_METRICS_LISTEN" example:":4363" desc:"Address for Prometheus: '/metrics' only, without the client token. Other machines may connect, as with ':4363', and see the names of routes and buckets. Same forms as 'COSPROXY_ADMIN_LISTEN'. Default: off."`
	SocketMode      fileMode  `env:"COSPROXY_SOCKET_MODE" envDefault:"0600" example:"0660" desc:"Permissions of the Unix sockets that cosproxy creates, in octal."`
	SocketOwner     ownerName `env:"COSPROXY_SOCKET_OWNER" example:"app:www-data" desc:"Owner of these sockets: 'user:group', each a name or a number. Either part may be omitted, as in ':www-data'."`
	TLSCertFile     string    `env:"COSPROXY_TLS_CERT_FILE" desc:"PEM file with the certificate chain. It enables TLS on TCP, except on the health listener, and is reloaded on change."`
	TLSKeyFile      string    `env:"COSPROXY_TLS_KEY_FILE" desc:"PEM file with the private key of the certificate."`
	UnsafeListen    bool      `env:"COSPROXY_UNSAFE_LISTEN" envDefault:"false" example:"true" desc:"'true' allows the listeners for applications and for the admin pages to accept connections from other machines. Without a client token, every machine that can connect can use the bucket."`
	AllowedHosts    list      `env:"COSPROXY_ALLOWED_HOSTS" example:"cosproxy.internal" desc:"Further host names or addresses to accept in the Host header, comma-separated, without ports. Loopback names, the address of the connection and the hosts of routes and their buckets are always accepted."`
	AllowedOrigins  list      `env:"COSPROXY_ALLOWED_ORIGINS" example:"https://app.example" desc:"Origins whose pages may send requests from a browser, comma-separated, as 'scheme://host:port'. Requests from other origins are rejected, including reads."`
	ClientTokenFile string    `env:"COSPROXY_CLIENT_TOKEN_FILE" desc:"File with the token that clients must send, as 'Authorization: Bearer', as the password of 'http_proxy', or in S3 clients as the access key ID. It is reloaded on change; all requests are rejected while it is missing or empty."`
	QuitTokenFile   string    `env:"COSPROXY_QUIT_TOKEN_FILE" desc:"File with a token that allows 'POST /quit' on the admin listener, which has the effect of SIGTERM, for 'cosproxy quit'. It is read for every such request. Default: '/quit' does not exist."`

	Endpoint    string `env:"COSPROXY_ENDPOINT" envDefault:"https://{bucket}.cos.{region}.myqcloud.com" desc:"URL of the bucket; '{bucket}' and '{region}' are replaced."`
	SpareDomain bool   `env:"COSPROXY_SPARE_DOMAIN" envDefault:"false" desc:"'true' sends requests that may be repeated to the host of the bucket in 'tencentcos.cn' if its host in 'myqcloud.com' cannot be reached or something other than COS responds, and further requests too for 5 minutes. It has no effect if 'COSPROXY_ENDPOINT' or 'COSPROXY_CONNECT_TO' is set."`
	ConnectTo   string `env:"COSPROXY_CONNECT_TO" desc:"'host:port' to connect to instead of the host of the endpoint. Host header, TLS server name and signature do not change."`
	CAFile      string `env:"COSPROXY_CA_FILE" desc:"PEM file with CA certificates to trust for COS, STS and the credentials server, in addition to those of the system."`

	Checksums bool `env:"COSPROXY_CHECKSUMS" envDefault:"true" example:"false" desc:"'false' disables the CRC-64 check of uploads and complete downloads, which costs about 0.1 s of CPU time per GiB on amd64 (see 'make bench'). With the check, an upload that COS stored incorrectly is an error, and a corrupted download is aborted."`

	MaxRequests    int           `env:"COSPROXY_MAX_REQUESTS" envDefault:"1024" example:"200" desc:"Maximum concurrent requests to COS."`
	MaxQueued      int           `env:"COSPROXY_MAX_QUEUED" envDefault:"1024" example:"200" desc:"Maximum queued requests; '0' disables the queue. Further requests get 503 SlowDown."`
	QueueTimeout   time.Duration `env:"COSPROXY_QUEUE_TIMEOUT" envDefault:"10s" example:"10s" desc:"Maximum time that a request waits in the queue."`
	MaxBodyBytes   size          `env:"COSPROXY_MAX_BODY_BYTES" example:"100MiB" desc:"Maximum size of a request body, such as '100MiB'. Default: the limit of COS."`
	MaxHeaderBytes size          `env:"COSPROXY_MAX_HEADER_BYTES" envDefault:"64KiB" example:"64KiB" desc:"Maximum size of the request line and the header fields together, up to '1MiB'. It allows one header field for every 256 bytes, and never fewer than 100."`
	HeaderTimeout  time.Duration `env:"COSPROXY_HEADER_TIMEOUT" envDefault:"10s" example:"10s" desc:"Maximum time to receive the header of a request."`
	IdleTimeout    time.Duration `env:"COSPROXY_IDLE_TIMEOUT" envDefault:"2m" example:"2m" desc:"Time after which a connection without a request is closed."`
	StallTimeout   time.Duration `env:"COSPROXY_STALL_TIMEOUT" envDefault:"1m" example:"1m" desc:"Idle timeout of request and response bodies, and of the response header from COS. An upload below 1 KiB per interval counts as idle, a download if the client does not read the next 256 KiB in this time."`

	Splay         time.Duration `env:"COSPROXY_SPLAY" envDefault:"20s" example:"20s" desc:"Maximum random delay of the first fetch of credentials, so that a fleet that starts at once stays within the STS quota. A request that arrives earlier triggers the fetch immediately. With 'oidc', use about one second for every 8 pods of the account."`
	ShutdownDelay time.Duration `env:"COSPROXY_SHUTDOWN_DELAY" envDefault:"0s" example:"5s" desc:"How long new requests are accepted after SIGTERM, SIGINT or SIGHUP, while '/readyz' returns 503 and every response has 'Connection: close'. In a pod, '5s' lets applications that are stopped together with cosproxy finish."`
	DrainTimeout  time.Duration `env:"COSPROXY_DRAIN_TIMEOUT" envDefault:"25s" example:"25s" desc:"Time limit for requests in flight after SIGTERM, SIGINT or SIGHUP, counted from the signal. Requests that take longer are canceled. Kubernetes kills a pod after 30s by default."`
	LogFormat     string        `env:"COSPROXY_LOG_FORMAT" envDefault:"text" desc:"'text' or 'json'."`
	LogLevel      slog.Level    `env:"COSPROXY_LOG_LEVEL" envDefault:"info" example:"debug" desc:"'debug', 'info', 'warn' or 'error'. Each request is logged at 'info'."`

	issues       bool          // for cosproxy issuer
	routeConfigs []routeConfig // the routes to serve, with defaults: Route, or the numbered ones
	// proxyVariables maps the scheme of a request to the variable from which net/http
	// takes the proxy.
	proxyVariables map[string]string
}

// setting is the metadata of one field, from its tags.
type setting struct {
	field     string // Go name, unique in all three structs
	variable  string // environment variable
	fallback  string // default value; empty if there is none
	required  bool
	inherited bool // a numbered route falls back to the short form
	example   string
	desc      string
}

// settings returns all settings in the order of the fields of config.
func settings() []setting { return settingsIn(reflect.TypeFor[config](), "") }

// routeSettings returns the settings of a route whose variables start with prefix.
func routeSettings(prefix string) []setting {
	return settingsIn(reflect.TypeFor[routeConfig](), prefix)
}

func settingsIn(t reflect.Type, prefix string) []setting {
	var all []setting
	for f := range t.Fields() {
		name, tagged := f.Tag.Lookup("env")
		switch {
		case tagged:
			all = append(all, setting{
				field:     f.Name,
				variable:  prefix + name,
				fallback:  f.Tag.Get("envDefault") + f.Tag.Get("default"),
				required:  f.Tag.Get("required") != "",
				inherited: f.Tag.Get("inherited") != "",
				example:   f.Tag.Get("example"),
				desc:      f.Tag.Get("desc"),
			})
		case f.IsExported():
			all = append(all, settingsIn(f.Type, prefix+f.Tag.Get("envPrefix"))...)
		}
	}
	return all
}

// settingOf returns the setting of a field. For a field of a route it is the short form.
func settingOf(field string) setting {
	for _, s := range settings() {
		if s.field == field {
			return s
		}
	}
	panic("cosproxy: no setting has the field " + field)
}

// variable returns the environment variable of a field.
func variable(field string) string { return settingOf(field).variable }

// address is a listen address. The zero value means "off".
type address struct {
	network string // tcp, unix or systemd
	at      string // host:port, an absolute path, or a socket name, which may be empty
}

// UnmarshalText accepts host:port, unix:///path, systemd, systemd:NAME and off.
func (a *address) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "off" {
		*a = address{}
		return nil
	}
	if name, ok := strings.CutPrefix(s, "systemd"); ok && (name == "" || len(name) > 1 && name[0] == ':') {
		*a = address{network: "systemd", at: strings.TrimPrefix(name, ":")}
		return nil
	}
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("the socket path in %q is not absolute", s)
		}
		*a = address{network: "unix", at: path}
		return nil
	}
	if err := checkHostPort(s); err != nil {
		return err
	}
	*a = address{network: "tcp", at: s}
	return nil
}

// String returns the form that UnmarshalText accepts.
func (a address) String() string {
	switch a.network {
	case "":
		return "off"
	case "unix":
		return "unix://" + a.at
	case "systemd":
		return strings.TrimSuffix("systemd:"+a.at, ":")
	}
	return a.at
}

// local reports whether only this machine can connect to a. The address of a socket
// from systemd is not known yet, so it counts as local.
func (a address) local() bool {
	if a.network != "tcp" {
		return true
	}
	host, _, _ := net.SplitHostPort(a.at)
	return isLocalHost(host)
}

func isLocalHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// ephemeral reports whether the operating system chooses the port.
func (a address) ephemeral() bool {
	return a.network == "tcp" && strings.HasSuffix(a.at, ":0")
}

func checkHostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(s, " /@") {
		return fmt.Errorf("%s is not host:port", quoted(s))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s has no port between 0 and 65535", quoted(s))
	}
	return nil
}

// quoted returns a value for messages. It hides a value with an @, since a password may
// precede the @.
func quoted(s string) string {
	if strings.Contains(s, "@") {
		return "the value (hidden, since it contains an @)"
	}
	return strconv.Quote(s)
}

// hostName matches the host names that clients send in Host. International names are
// in punycode.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// checkHost accepts a host name or an IP address, without scheme, port and path.
func checkHost(s string) error {
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	switch {
	case err == nil || hostName.MatchString(s):
		return nil
	case checkHostPort(s) == nil:
		return fmt.Errorf("%q has a port; remove it, since it is not compared", s)
	}
	return fmt.Errorf("%s is not a host name or an address; use complete names, such as cosproxy.internal", quoted(s))
}

// size is a positive number of bytes.
type size int64

// UnmarshalText accepts a number with an optional unit: KiB, MiB or GiB.
func (s *size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "KMGiB")
	shift, known := map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[string(text[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n <= 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size", text)
	}
	*s = size(n << shift)
	return nil
}

// fileMode holds the permission bits of a file.
type fileMode fs.FileMode

// UnmarshalText accepts octal digits up to 0777.
func (m *fileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is not an octal number up to 0777", text)
	}
	*m = fileMode(n)
	return nil
}

// list is a comma-separated list. Blanks around items and empty items are ignored.
type list []string

// UnmarshalText accepts a,b,c and rejects a list without items.
func (l *list) UnmarshalText(text []byte) error {
	*l = nil
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l = append(*l, item)
		}
	}
	if len(*l) == 0 {
		return errors.New("the list is empty")
	}
	return nil
}

// String returns the comma-separated form.
func (l list) String() string { return strings.Join(l, ",") }

// secret is text that is redacted by fmt, loggers and encoders.
type secret string

// MarshalText implements encoding.TextMarshaler.
func (s secret) MarshalText() ([]byte, error) { //nolint:unparam // the interface requires the error
	return []byte("[redacted]"), nil
}

// Format implements fmt.Formatter, for every verb.
func (s secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// LogValue implements slog.LogValuer.
func (s secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// ownerName is a user and a group, by name or number. An empty part means no change.
type ownerName struct{ user, group string }

// UnmarshalText accepts user:group, user and :group.
func (o *ownerName) UnmarshalText(text []byte) error {
	name, group, _ := strings.Cut(string(text), ":")
	if name == "" && group == "" {
		return fmt.Errorf("%q names neither a user nor a group", text)
	}
	*o = ownerName{name, group}
	return nil
}
