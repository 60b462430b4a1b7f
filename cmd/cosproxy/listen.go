package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// openListeners opens the listeners for applications and for the admin pages; admin
// is empty if it is off.
func (c *resolved) openListeners(log *slog.Logger) (app, admin []net.Listener, err error) {
	var given []*os.File
	if c.Listen.network == "systemd" || c.AdminListen.network == "systemd" {
		given = activation.Files(true)
	}
	if app, err = c.listen("Listen", c.Listen, given, log); err != nil {
		return nil, nil, err
	}
	if admin, err = c.listen("AdminListen", c.AdminListen, given, log); err != nil {
		return nil, nil, errors.Join(err, closeAll(app))
	}
	return app, admin, nil
}

// listen opens a, which belongs to a field of config: one listener, two for
// localhost, and none if a is off. A Unix socket's file is removed when the listener
// is closed, unless it is systemd's.
func (c *resolved) listen(field string, a address, given []*os.File, log *slog.Logger) ([]net.Listener, error) {
	var ls []net.Listener
	var err error
	switch a.network {
	case "":
		return nil, nil
	case "systemd":
		ls, err = single(c.inheritSocket(field, a, given, log))
	default:
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
			return nil, addressInUse(err)
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
			return nil, addressInUse(err)
		}
		lc.Control = restrictSocket
	}
	l, err := lc.Listen(context.Background(), a.network, a.at)
	if err != nil {
		return nil, addressInUse(err)
	}
	if a.network != "unix" {
		return l, nil
	}
	socket, err := newSocketListener(l, a.at)
	if err == nil {
		err = c.setSocketAccess(socket)
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

func addressInUse(err error) error { return fmt.Errorf("%w; free this address or choose another", err) }

// removeStale removes a socket that nothing listens on: what is left of a
// process that was killed. Anything else at path stays.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there already and is no socket", path)
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another process listens on %s", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		if now, err := os.Lstat(path); err != nil || !os.SameFile(now, info) {
			return fmt.Errorf("another process replaces %s at this moment", path)
		}
		return os.Remove(path)
	}
	return err
}

// ephemeralAttempts is how many ports are tried until one is free in both families.
const ephemeralAttempts = 10

// listenFunc has the form of net.Listen.
type listenFunc func(network, address string) (net.Listener, error)

// listenLocalhost listens on 127.0.0.1 and ::1, since clients take either for
// localhost (RFC 6761, 6.3). Port 0 is one port, free in both. A family that the
// machine does not have is left out.
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

// isFamilyMissing reports whether err says that the machine does not have the address
// family, or no loopback address in it.
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

// inheritSocket takes over the socket at a, which systemd opened. Its unit
// sets its permissions, but does not decide whether other machines may reach it.
func (c *resolved) inheritSocket(field string, a address, given []*os.File, log *slog.Logger) (net.Listener, error) {
	f, err := findSocket(given, a.at)
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the socket %s of systemd is none to listen on: %w; write ListenStream= into its unit", f.Name(), err)
	}
	_ = f.Close() // l has a copy of its own
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		if !c.UnsafeListen {
			return nil, errors.Join(fmt.Errorf("systemd listens on %s, which other machines can reach: "+
				"write a loopback address or a path into ListenStream= of its unit, or allow it with %s=true", tcp, variable("UnsafeListen")), l.Close())
		}
		if text := c.exposure(field, tcp.String()); text != "" {
			log.Warn(text)
		}
	}
	return l, nil
}

// findSocket finds the socket with this name; without a name, the only one.
func findSocket(given []*os.File, name string) (*os.File, error) {
	var names []string
	var fit []*os.File
	for _, f := range given {
		names = append(names, f.Name())
		if name == "" || f.Name() == name {
			fit = append(fit, f)
		}
	}
	slices.Sort(names)
	switch {
	case len(given) == 0:
		return nil, errors.New("systemd opened no socket for this process: start it by its .socket unit, or choose another address")
	case len(fit) == 0:
		return nil, fmt.Errorf("systemd opened no socket named %s, but %s: write FileDescriptorName=%[1]s into its .socket unit", name, strings.Join(names, ", "))
	case len(fit) > 1:
		return nil, fmt.Errorf("systemd opened several sockets, %s: write systemd:NAME, with a name that one of them has by FileDescriptorName= in its .socket unit", strings.Join(names, ", "))
	}
	return fit[0], nil
}

// socketListener is a listener whose file goes when it is closed, as far as the file
// is still its own: another process may have put one of its own in its place.
type socketListener struct {
	net.Listener
	path   string
	file   fs.FileInfo // device and inode
	remove *sync.Once
}

// newSocketListener takes over l, which has just been opened at path.
func newSocketListener(l net.Listener, path string) (*socketListener, error) {
	if socket, ok := l.(*net.UnixListener); ok {
		socket.SetUnlinkOnClose(false)
	}
	file, err := os.Lstat(path)
	if err == nil && file.Mode().Type() != fs.ModeSocket {
		err = errReplaced(path)
	}
	return &socketListener{l, path, file, new(sync.Once)}, err
}

func errReplaced(path string) error {
	return fmt.Errorf("%s is no longer the socket that cosproxy has opened; let no other process write to its directory", path)
}

// Close removes the file and closes the listener. In this order, since the number of
// an inode may be given to another file once the listener is closed.
func (s *socketListener) Close() error {
	var err error
	s.remove.Do(func() {
		if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.file) {
			err = os.Remove(s.path)
		}
	})
	return errors.Join(err, s.Listener.Close())
}
