package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"
)

// serverTLS speaks TLS with the certificate of the settings, read anew when its
// files change. Connections that are open stay; while the files are no pair, as
// between the writing of one and the other, new ones get the last good one.
func (c *config) serverTLS(log *slog.Logger) *tls.Config {
	current := new(tls.Certificate)
	files := &watched[*tls.Certificate]{log: log, load: func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w; the last good pair stays in use", variable("TLSCertFile"), variable("TLSKeyFile"), err)
		}
		if len(current.Certificate) == 0 || !bytes.Equal(current.Certificate[0], pair.Certificate[0]) {
			log.Info("TLS certificate", "file", c.TLSCertFile, "expires", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		current = &pair
		return current, nil
	}}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := files.get()
			if pair != nil {
				return pair, nil
			}
			return nil, err
		},
	}
}
