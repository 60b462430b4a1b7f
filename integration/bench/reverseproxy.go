//go:build linux

package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

// runReverseProxy is the peer reverseproxy: httputil.ReverseProxy with
// http.DefaultTransport. It does not sign. It serves until standard input ends.
func runReverseProxy(args []string, _ io.Writer) error {
	if len(args) != 2 {
		return errors.New("want ADDRESS URL")
	}
	target, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	rp := httputil.NewSingleHostReverseProxy(target)
	rp.ErrorLog = log.New(io.Discard, "", 0)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Close()
	}()
	if err := http.Serve(l, rp); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
