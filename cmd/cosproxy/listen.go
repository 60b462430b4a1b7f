package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// openListeners opens the listeners for applications and for the admin pages; admin
// is empty if it is off.
func (c *config) openListeners(log *slog.Logger) (app, admin []net.Listener, err error) {
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
func (c *config) listen(field string, a address, given []*os.File, log *slog.Logger) ([]net.Listener, error) {
	var ls []net.Listener
	var err error
	switch a.network {
	case "":
		return nil, nil
	case "systemd":
		ls, err = one(c.adopt(field, a, given, log))
	default:
		ls, err = c.open(a)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable(field), err)
	}
	if c.TLSCertFile != "" && ls[0].Addr().Network() == "tcp" {
		secure := c.serverTLS(log)
		for i, l := range ls {
			ls[i] = tls.NewListener(l, secure)
		}
	}
	return ls, nil
}

func (c *config) open(a address) ([]net.Listener, error) {
	if host, port, _ := net.SplitHostPort(a.at); a.network == "tcp" && host == "localhost" {
		ls, err := listenLocalhost(port, net.Listen)
		if err != nil {
			return nil, taken(err)
		}
		return ls, nil
	}
	return one(c.openOne(a))
}

func one(l net.Listener, err error) ([]net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return []net.Listener{l}, nil
}

func (c *config) openOne(a address) (net.Listener, error) {
	var lc net.ListenConfig
	if a.network == "unix" {
		if err := removeStale(a.at); err != nil {
			return nil, taken(err)
		}
		lc.Control = ownersAlone
	}
	l, err := lc.Listen(context.Background(), a.network, a.at)
	if err != nil {
		return nil, taken(err)
	}
	if a.network != "unix" {
		return l, nil
	}
	socket, err := newSocketListener(l, a.at)
	if err == nil {
		err = c.letIn(socket)
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return socket, nil
}

func taken(err error) error { return fmt.Errorf("%w; free this address or choose another", err) }

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
