package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"cosproxy/credcache/smallfile"
)

// serverTLS speaks TLS with the certificate of the settings, read anew when its
// files change. Connections that are open stay; while the files are no pair, as
// between the writing of one and the other, new ones get the last good one.
func (c *config) serverTLS(log *slog.Logger) *tls.Config {
	current := new(tls.Certificate)
	files := &watched[*tls.Certificate]{log: log, load: func(ctx context.Context) (*tls.Certificate, error) {
		pair, err := readCertificate(ctx, c.TLSCertFile, c.TLSKeyFile)
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

// readCertificate is tls.LoadX509KeyPair for files that may hang or not end. No error
// repeats a path that leads nowhere: it may be the key itself.
func readCertificate(ctx context.Context, certFile, keyFile string) (tls.Certificate, error) {
	cert, err := smallfile.Read(ctx, certFile, smallfile.CertificateLimit)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the first cannot be read: %w", err)
	}
	key, err := smallfile.Read(ctx, keyFile, smallfile.CertificateLimit)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the second cannot be read: %w", err)
	}
	return tls.X509KeyPair(cert, key)
}
