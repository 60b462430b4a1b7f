package main

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// setFallbackRoots gives crypto/x509 the embedded root certificates of Mozilla, for
// systems without any, such as a container from scratch. Where the system has root
// certificates, crypto/x509 ignores the embedded ones.
//
// Parsing them takes some milliseconds, so only commands that connect to COS or a source
// do it. The package x509roots/fallback would parse them at every start.
var setFallbackRoots = sync.OnceFunc(func() { x509.SetFallbackRoots(fallbackRoots()) })

func fallbackRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil: // a certificate that cannot be read is not trusted
		case root.Constraint != nil:
			pool.AddCertWithConstraint(certificate, root.Constraint)
		default:
			pool.AddCert(certificate)
		}
	}
	return pool
}
