package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
)

// outOfDescriptors reports whether err says that the process (EMFILE) or the system
// (ENFILE) has no file descriptor left.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// reclaimDescriptors has t close its idle connections when it has no file
// descriptor for a new one: those of one host cannot serve another.
func reclaimDescriptors(t *http.Transport) {
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if outOfDescriptors(err) {
			t.CloseIdleConnections()
			return dial(ctx, network, addr)
		}
		return c, err
	}
}
