package main

import (
	"errors"
	"net"
	"strconv"
	"syscall"
)

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
		case lacksFamily(err):
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

// lacksFamily reports whether err says that the machine does not have the address
// family, or no loopback address in it.
func lacksFamily(err error) bool {
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
