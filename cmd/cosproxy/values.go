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
	"regexp"
	"strconv"
	"strings"
)

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
// password may stand in front of that.
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

// fileMode is who may use a file.
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
