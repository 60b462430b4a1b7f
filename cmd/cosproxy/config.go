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

	Listen          address   `env:"COSPROXY_LISTEN" envDefault:"127.0.0.1:4360" example:"127.0.0.1:4360" desc:"Where applications ask: 'host:port' ('localhost:port' is 127.0.0.1 and ::1), 'unix:///path', or 'systemd' for the socket that systemd opened, 'systemd:NAME' where it opened several."`
	AdminListen     address   `env:"COSPROXY_ADMIN_LISTEN" envDefault:"127.0.0.1:4361" example:"127.0.0.1:4361" desc:"Where '/livez', '/readyz', '/metrics' and '/status' are: 'host:port', 'unix:///path' or 'systemd:NAME' as above, or 'off'."`
	SocketMode      fileMode  `env:"COSPROXY_SOCKET_MODE" envDefault:"0600" example:"0660" desc:"Who may connect to the Unix sockets that cosproxy opens, as chmod writes it."`
	SocketOwner     ownerName `env:"COSPROXY_SOCKET_OWNER" example:"app:www-data" desc:"'user:group' that these sockets are given to, names or numbers; one of the two may be left out, as in ':www-data'."`
	TLSCertFile     string    `env:"COSPROXY_TLS_CERT_FILE" desc:"PEM file with the certificate and its chain, to speak TLS on TCP, to applications and on the admin listener. Read anew when it changes."`
	TLSKeyFile      string    `env:"COSPROXY_TLS_KEY_FILE" desc:"PEM file with the key of the certificate."`
	UnsafeListen    bool      `env:"COSPROXY_UNSAFE_LISTEN" envDefault:"false" example:"true" desc:"'true' lets both listen beyond this machine. Without a token, whoever reaches them uses the bucket."`
	AllowedHosts    list      `env:"COSPROXY_ALLOWED_HOSTS" example:"cosproxy.internal" desc:"Names or addresses that requests may have in Host beside loopback ones, comma-separated, without ports."`
	AllowedOrigins  list      `env:"COSPROXY_ALLOWED_ORIGINS" example:"https://app.example" desc:"Sites whose pages may use cosproxy through a browser, comma-separated, as 'scheme://host:port'. All others are refused, also for reads."`
	ClientTokenFile string    `env:"COSPROXY_CLIENT_TOKEN_FILE" desc:"File with a token that each request has to bring, as 'Authorization: Bearer' or as the password of 'http_proxy'. Read anew when it changes; while it is empty or cannot be read, nobody is let in."`

	Endpoint  string `env:"COSPROXY_ENDPOINT" envDefault:"https://{bucket}.cos.{region}.myqcloud.com" desc:"URL of the bucket; '{bucket}' and '{region}' are replaced."`
	ConnectTo string `env:"COSPROXY_CONNECT_TO" desc:"'host:port' to dial for COS, while Host, TLS name and signature keep the name of the endpoint."`
	CAFile    string `env:"COSPROXY_CA_FILE" desc:"PEM file of certificates to trust for COS, STS and the key server, beside those of the system."`

	Checksums bool `env:"COSPROXY_CHECKSUMS" envDefault:"true" example:"false" desc:"'false' leaves out the CRC-64 of uploads and whole downloads, which costs about a tenth of a second of CPU per GiB on amd64 (see 'make bench'). With it, an upload that COS stored differently is an error, and a damaged download is broken off."`

	MaxRequests    int           `env:"COSPROXY_MAX_REQUESTS" envDefault:"1024" example:"200" desc:"How many requests may be with COS at once."`
	MaxQueued      int           `env:"COSPROXY_MAX_QUEUED" envDefault:"1024" example:"200" desc:"How many more may wait for their turn; '0' lets none wait. The others are answered with 503 SlowDown."`
	QueueTimeout   time.Duration `env:"COSPROXY_QUEUE_TIMEOUT" envDefault:"10s" example:"10s" desc:"How long a request may wait for its turn."`
	MaxBodyBytes   size          `env:"COSPROXY_MAX_BODY_BYTES" example:"100MiB" desc:"Length of the largest request body that is taken, such as '100MiB'. COS decides if it is unset."`
	MaxHeaderBytes size          `env:"COSPROXY_MAX_HEADER_BYTES" envDefault:"64KiB" example:"64KiB" desc:"Maximum size of the request line and the header fields together. It allows one header field for every 256 bytes, and never fewer than 100."`
	HeaderTimeout  time.Duration `env:"COSPROXY_HEADER_TIMEOUT" envDefault:"10s" example:"10s" desc:"How long a client may take to send the header of a request."`
	IdleTimeout    time.Duration `env:"COSPROXY_IDLE_TIMEOUT" envDefault:"2m" example:"2m" desc:"How long a connection without a request is kept."`
	StallTimeout   time.Duration `env:"COSPROXY_STALL_TIMEOUT" envDefault:"1m" example:"1m" desc:"How long a body may stand still, either way, or COS take to begin its answer, before the request is ended. An upload stands still with less than 1 KiB in this time; of a download, the client has to take 256 KiB."`

	Splay         time.Duration `env:"COSPROXY_SPLAY" envDefault:"20s" example:"20s" desc:"The first key is fetched after a random part of this, so that a fleet that starts at once keeps within the quota of STS; a request that comes earlier has it fetched at once. With 'oidc', about one second for every 8 pods of the account."`
	ShutdownDelay time.Duration `env:"COSPROXY_SHUTDOWN_DELAY" envDefault:"0s" example:"5s" desc:"How long new requests are accepted after SIGTERM or SIGHUP, with '/readyz' at 503 and 'Connection: close' on every response. In a pod, '5s' lets applications that are stopped together with cosproxy finish."`
	DrainTimeout  time.Duration `env:"COSPROXY_DRAIN_TIMEOUT" envDefault:"25s" example:"25s" desc:"How long requests may go on after SIGTERM or SIGHUP, counted from the signal, before they are cut off. Kubernetes kills a pod after 30s unless told otherwise."`
	LogFormat     string        `env:"COSPROXY_LOG_FORMAT" envDefault:"text" desc:"'text' or 'json'."`
	LogLevel      slog.Level    `env:"COSPROXY_LOG_LEVEL" envDefault:"info" example:"debug" desc:"'debug', 'info', 'warn' or 'error'. Each request is a line at 'info'."`

	routeConfigs []routeConfig // those to serve, complete: of the short form, or numbered
	// proxyVariables are the variables that net/http takes its proxies from, by
	// the scheme of the request.
	proxyVariables map[string]string
}

// setting is what the tags of one field say.
type setting struct {
	field     string // Go name, unique among all
	variable  string // environment variable
	fallback  string // default; empty: none
	required  bool
	inherited bool // of a numbered route, from the short form
	example   string
	desc      string
}

// settings are all settings in the order of config.
func settings() []setting { return settingsIn(reflect.TypeFor[config](), "") }

// routeSettings are those of a route whose variables begin with prefix.
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

// settingOf is the setting of a field: for fields of a route, of the short form.
func settingOf(field string) setting {
	for _, s := range settings() {
		if s.field == field {
			return s
		}
	}
	panic("cosproxy: there is no setting " + field)
}

// variable is the environment variable of a field.
func variable(field string) string { return settingOf(field).variable }

// address is where to listen. The zero value is "off".
type address struct {
	network string // tcp, unix or systemd
	at      string // host:port, an absolute path, or a name that may be empty
}

// UnmarshalText reads host:port, unix:///path, systemd, systemd:NAME, or off.
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
			return fmt.Errorf("the socket's path in %q is not absolute", s)
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

// String returns what UnmarshalText reads.
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

// local reports whether only this machine can reach a. What systemd opened is
// not known yet.
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

// ephemeral reports whether the system chooses the port.
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

// quoted is a value as messages repeat it. Not repeated is one with an @, since a
// password may precede it.
func quoted(s string) string {
	if strings.Contains(s, "@") {
		return "what it has, not repeated for the @ in it,"
	}
	return strconv.Quote(s)
}

// hostName is what clients send in Host: an international name as punycode.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// checkHost wants a host name or an IP address, and nothing around it.
func checkHost(s string) error {
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	switch {
	case err == nil || hostName.MatchString(s):
		return nil
	case checkHostPort(s) == nil:
		return fmt.Errorf("%q has a port, which does not count here; leave it out", s)
	}
	return fmt.Errorf("%s is no host name or address; write each name in full, such as cosproxy.internal", quoted(s))
}

// size is a number of bytes.
type size int64

// UnmarshalText reads a number, alone or with KiB, MiB or GiB.
func (s *size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "KMGiB")
	shift, known := map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[string(text[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n <= 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is no size", text)
	}
	*s = size(n << shift)
	return nil
}

// fileMode is the permission bits of a file.
type fileMode fs.FileMode

// UnmarshalText reads octal digits.
func (m *fileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is not three octal digits", text)
	}
	*m = fileMode(n)
	return nil
}

// list is a comma-separated list; blanks around items do not count.
type list []string

// UnmarshalText reads a,b,c.
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

// String returns the items as they are written in the environment.
func (l list) String() string { return strings.Join(l, ",") }

// secret is text that no fmt verb, no logger and no encoder shows.
type secret string

// MarshalText implements encoding.TextMarshaler.
func (s secret) MarshalText() ([]byte, error) { //nolint:unparam // the interface has the error
	return []byte("[redacted]"), nil
}

// Format implements fmt.Formatter for every verb.
func (s secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// LogValue implements slog.LogValuer.
func (s secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// ownerName is a user and a group by name or number. Where one of the two is
// empty, it stays as it is; the zero value changes neither.
type ownerName struct{ user, group string }

// UnmarshalText reads user:group, user or :group.
func (o *ownerName) UnmarshalText(text []byte) error {
	name, group, _ := strings.Cut(string(text), ":")
	if name == "" && group == "" {
		return fmt.Errorf("%q names no user and no group", text)
	}
	*o = ownerName{name, group}
	return nil
}
