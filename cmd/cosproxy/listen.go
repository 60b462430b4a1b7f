package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// listenSetting is a field of config with the address of a listener.
type listenSetting struct {
	field string
	address
}

// listenSettings returns the fields of all listeners that are not off.
func (c *config) listenSettings() []listenSetting {
	main := listenSetting{"Listen", c.Listen}
	if c.issues {
		main = listenSetting{"IssuerListen", c.Issuer.IssuerListen}
	}
	all := []listenSetting{
		main, {"AdminListen", c.AdminListen}, {"HealthListen", c.HealthListen}, {"MetricsListen", c.MetricsListen},
	}
	return slices.DeleteFunc(all, func(l listenSetting) bool { return l.network == "" })
}

// needsUnsafeListen reports whether a listener may accept connections from other machines
// only with UnsafeListen. Neither probes nor metrics open the bucket or reveal a secret, and
// the issuer requires TLS and a token.
func needsUnsafeListen(field string) bool { return field == "Listen" || field == "AdminListen" }

// listeners maps the fields of listenSettings to open listeners. A field has several if
// its address is localhost.
type listeners map[string][]net.Listener

// openListeners opens all listeners that are not off.
func (c *resolved) openListeners(log *slog.Logger) (listeners, error) {
	settings := c.listenSettings()
	var inherited []*os.File // from systemd
	if slices.ContainsFunc(settings, func(l listenSetting) bool { return l.network == "systemd" }) {
		inherited = activation.Files(true)
	}
	all := make(listeners)
	for _, l := range settings {
		opened, err := c.listen(l.field, l.address, inherited, log)
		if err != nil {
			return nil, errors.Join(err, closeAll(slices.Concat(slices.Collect(maps.Values(all))...)))
		}
		all[l.field] = opened
	}
	return all, nil
}

// listen opens the address of a field of config: one listener, two for localhost. Closing
// a listener removes the file of its Unix socket, unless the socket is from systemd.
func (c *resolved) listen(field string, a address, inherited []*os.File, log *slog.Logger) ([]net.Listener, error) {
	var ls []net.Listener
	var err error
	if a.network == "systemd" {
		ls, err = single(c.inheritSocket(field, a, inherited, log))
	} else {
		ls, err = c.open(a)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable(field), err)
	}
	return ls, nil
}

func (c *resolved) open(a address) ([]net.Listener, error) {
	if host, port, _ := net.SplitHostPort(a.at); a.network == "tcp" && host == "localhost" {
		ls, err := listenLocalhost(port, net.Listen)
		if err != nil {
			return nil, adviseOnListen(err)
		}
		return ls, nil
	}
	return single(c.openOne(a))
}

func single(l net.Listener, err error) ([]net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return []net.Listener{l}, nil
}

func (c *resolved) openOne(a address) (net.Listener, error) {
	var lc net.ListenConfig
	if a.network == "unix" {
		if err := removeStale(a.at); err != nil {
			return nil, adviseOnListen(err)
		}
		lc.Control = restrictSocket
	}
	l, err := lc.Listen(context.Background(), a.network, a.at)
	if err != nil {
		return nil, adviseOnListen(err)
	}
	unix, ok := l.(*net.UnixListener)
	if !ok {
		return l, nil
	}
	socket, err := newSocketListener(unix, a.at)
	if err == nil {
		err = c.setSocketAccess(socket)
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

// adviseOnListen adds to an error of listen what to do next.
func adviseOnListen(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; use a port above 1023, or a folder that cosproxy may write to", err)
	}
	return fmt.Errorf("%w; free this address or use another one of this machine", err)
}

// removeStale removes a socket without a listener, as a killed process leaves it. It does
// not remove anything else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another process listens on %s", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		if now, err := os.Lstat(path); err != nil || !os.SameFile(now, info) {
			return fmt.Errorf("another process has just replaced %s", path)
		}
		return os.Remove(path)
	}
	return err
}

// ephemeralAttempts limits the search for a port that is free in both families.
const ephemeralAttempts = 10

// listenFunc has the signature of net.Listen.
type listenFunc func(network, address string) (net.Listener, error)

// listenLocalhost listens on 127.0.0.1 and ::1, since clients may use either for
// localhost (RFC 6761, 6.3). Port 0 selects one port that is free in both families. A
// family that this machine does not support is omitted.
func listenLocalhost(port string, listen listenFunc) ([]net.Listener, error) {
	for attempt := 1; ; attempt++ {
		ls, err := listenBoth(port, listen)
		if err == nil || port != "0" || attempt == ephemeralAttempts || !errors.Is(err, syscall.EADDRINUSE) {
			return ls, err
		}
	}
}

func listenBoth(port string, listen listenFunc) ([]net.Listener, error) {
	var ls []net.Listener
	var missing error
	for _, at := range []struct{ network, host string }{{"tcp4", "127.0.0.1"}, {"tcp6", "::1"}} {
		l, err := listen(at.network, net.JoinHostPort(at.host, port))
		switch {
		case err == nil:
			ls = append(ls, l)
			port = listenerPort(l)
		case isFamilyMissing(err):
			missing = errors.Join(missing, err)
		default:
			return nil, errors.Join(err, closeAll(ls))
		}
	}
	if len(ls) == 0 {
		return nil, missing
	}
	return ls, nil
}

// isFamilyMissing reports whether err means that this machine does not support the address
// family or has no loopback address in it.
func isFamilyMissing(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

func listenerPort(l net.Listener) string {
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func closeAll(ls []net.Listener) error {
	var errs []error
	for _, l := range ls {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// inheritSocket returns a listener on a socket from systemd. The .socket unit sets its
// permissions, but an address that other machines can reach may require UnsafeListen.
func (c *resolved) inheritSocket(field string, a address, inherited []*os.File, log *slog.Logger) (net.Listener, error) {
	f, err := findSocket(inherited, a.at)
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket %s from systemd is not a listening socket: %w; use ListenStream= in its .socket unit", f.Name(), err)
	}
	_ = f.Close() // l has a duplicate of the descriptor
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && needsUnsafeListen(field) {
		if !c.UnsafeListen {
			return nil, errors.Join(fmt.Errorf("systemd listens on %s, which other machines can reach; "+
				"set ListenStream= of the .socket unit to a loopback address or a path, or set %s=true to allow this", tcp, variable("UnsafeListen")), l.Close())
		}
		if text := c.exposure(field, tcp.String()); text != "" {
			log.Warn(text)
		}
	}
	return l, nil
}

// findSocket returns the socket with this name, or the only one if name is empty.
func findSocket(inherited []*os.File, name string) (*os.File, error) {
	var names []string
	var matches []*os.File
	for _, f := range inherited {
		names = append(names, f.Name())
		if name == "" || f.Name() == name {
			matches = append(matches, f)
		}
	}
	slices.Sort(names)
	switch {
	case len(inherited) == 0:
		return nil, errors.New("systemd passed no socket to this process; start it through a .socket unit, or use another address")
	case len(matches) == 0:
		return nil, fmt.Errorf("systemd passed no socket named %s, but %s; set FileDescriptorName=%[1]s in its .socket unit", name, strings.Join(names, ", "))
	case len(matches) > 1:
		return nil, fmt.Errorf("systemd passed several sockets, %s; use systemd:NAME with the FileDescriptorName= of one of them", strings.Join(names, ", "))
	}
	return matches[0], nil
}

// socketListener is a listener on a Unix socket. Close removes the file, unless another
// process has replaced it. It has the deadlines of its listener: without them, http1 could
// not accept pending connections at shutdown.
type socketListener struct {
	*net.UnixListener
	path   string
	file   fs.FileInfo // device and inode
	remove *sync.Once
}

// newSocketListener wraps l, which has just been opened at path.
func newSocketListener(l *net.UnixListener, path string) (*socketListener, error) {
	l.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	if err == nil && file.Mode().Type() != fs.ModeSocket {
		err = errReplaced(path)
	}
	return &socketListener{l, path, file, new(sync.Once)}, err
}

func errReplaced(path string) error {
	return fmt.Errorf("%s is no longer the socket that cosproxy opened; make sure that no other process writes to its directory", path)
}

// Close removes the file and then closes the listener. After the listener is closed, the
// inode number may be reused for another file.
func (s *socketListener) Close() error {
	var err error
	s.remove.Do(func() {
		if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.file) {
			err = os.Remove(s.path)
		}
	})
	return errors.Join(err, s.UnixListener.Close())
}
