package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
)

// adopt takes over the socket at a, which systemd opened. Who may connect to it
// is the business of its unit, but not how far it may be open.
func (c *config) adopt(field string, a address, given []*os.File, log *slog.Logger) (net.Listener, error) {
	f, err := choose(given, a.at)
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

// choose finds the socket with this name; without a name, the only one.
func choose(given []*os.File, name string) (*os.File, error) {
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
