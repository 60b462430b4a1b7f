package cosemu

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Options configures Start. The zero value serves one bucket, examplebucket-1250000000
// in ap-guangzhou, on free loopback ports.
type Options struct {
	// Buckets are the names of the buckets, each with its APPID
	// (examplebucket-1250000000). Empty means examplebucket-1250000000.
	Buckets []string
	// Region is the region of the buckets; empty means ap-guangzhou.
	Region string
	// COSListen and STSListen are host:port; empty means 127.0.0.1:0.
	COSListen, STSListen string
	// secretID and secretKey are the long-lived key pair of the account. STS accepts it,
	// and COS allows it everything. Empty fields are generated.
	secretID, secretKey string
	// Roles are the CAM roles of the account; empty means none.
	Roles []Role
	// CredentialsServerToken is the bearer token that the credentials server requires;
	// empty means none.
	CredentialsServerToken string
	// CredentialsDuration is the lifetime of all issued credentials. Zero means the
	// requested one at STS, 2 h at the metadata service and 30 min at the credentials
	// server.
	CredentialsDuration time.Duration
	// StrictSignature puts every bucket in strict signature mode: host,
	// content-length, content-type, content-md5, range, every x-cos-* header and every
	// parameter of a request must be signed.
	StrictSignature bool
	// PlainConditions makes policy conditions compare raw parameters. By default they
	// compare URL-encoded ones, as a single document says.
	PlainConditions bool
	// now is the clock of the servers; nil means time.Now.
	now func() time.Time
	// TLS, if not nil, makes COS and the credentials server use TLS.
	TLS *tls.Config
}

// Server is a running COS with its sources of credentials. Its methods are safe for
// concurrent use.
type Server struct {
	options     Options
	dir         string
	store       *store
	credentials *credentialSet
	longLived   *Credentials
	roles       []*role
	record      *record
	faults      faults
	cancelWaits context.CancelFunc

	started         time.Time
	roleCredentials roleCredentials
	bucketHosts     hostPattern
	requestCount    atomic.Uint64

	cos, sts, metadata, credentialsServer listener
}

// Start opens the listeners and serves until Close. It fails on a malformed bucket
// name (ErrBucketName) or an invalid role, and if it cannot listen or create its
// temporary directory.
func Start(o Options) (*Server, error) {
	o.Region = cmp.Or(o.Region, "ap-guangzhou")
	if len(o.Buckets) == 0 {
		o.Buckets = []string{"examplebucket-1250000000"}
	}
	if o.now == nil {
		o.now = time.Now
	}
	o.secretID = cmp.Or(o.secretID, newSecretID())
	o.secretKey = cmp.Or(o.secretKey, newSecretKey())

	roles, err := checkRoles(o.Roles)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, credentials: newCredentialSet(), roles: roles, record: newRecord(), bucketHosts: hostPattern{o.Region}}
	s.started = o.now()
	s.roleCredentials.byRole = map[*role]*Credentials{}
	s.faults.closing, s.cancelWaits = context.WithCancel(context.Background())
	s.longLived = &Credentials{SecretID: o.secretID, SecretKey: o.secretKey}
	s.credentials.add(s.longLived)
	dir, err := os.MkdirTemp("", "cosemu-")
	if err != nil {
		return nil, fmt.Errorf("cosemu: create the directory for object bodies: %w", err)
	}
	s.dir = dir
	if s.store, err = newStore(dir, o.Buckets); err == nil {
		err = s.listen()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// listener is one listener with its HTTP server.
type listener struct {
	http.Server
	addr string // host:port
}

// start listens on addr, by default on a free loopback port, and serves until Close.
// If the listener fails later, clients get connection errors.
func (t *listener) start(addr string, handler http.HandlerFunc, config *tls.Config) error {
	l, err := net.Listen("tcp", cmp.Or(addr, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	t.addr = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	t.Handler = handler
	t.ReadHeaderTimeout = 30 * time.Second
	go func() { _ = t.Serve(l) }()
	return nil
}

func (s *Server) listen() error {
	if err := s.cos.start(s.options.COSListen, s.serveCOS, s.options.TLS); err != nil {
		return fmt.Errorf("cosemu: COS: %w", err)
	}
	if err := s.sts.start(s.options.STSListen, s.serveSTS, nil); err != nil {
		return fmt.Errorf("cosemu: STS: %w", err)
	}
	if err := s.metadata.start("", s.serveMetadata, nil); err != nil {
		return fmt.Errorf("cosemu: metadata service: %w", err)
	}
	if err := s.credentialsServer.start("", s.serveCredentials, s.options.TLS); err != nil {
		return fmt.Errorf("cosemu: credentials server: %w", err)
	}
	return nil
}

// COSAddr returns the host:port to dial for the host name of every bucket.
func (s *Server) COSAddr() string { return s.cos.addr }

// STSURL returns the URL of the STS, without a path.
func (s *Server) STSURL() string { return "http://" + s.sts.addr }

// MetadataURL returns the URL that replaces http://metadata.tencentyun.com, without a
// path.
func (s *Server) MetadataURL() string { return "http://" + s.metadata.addr }

// CredentialsServerURL returns the URL of the credentials server, without a query.
func (s *Server) CredentialsServerURL() string {
	scheme := "http://"
	if s.options.TLS != nil {
		scheme = "https://"
	}
	return scheme + s.credentialsServer.addr + credentialsServerPath
}

// SecretID returns the SecretId of the account's long-lived key pair.
func (s *Server) SecretID() string { return s.longLived.SecretID }

// SecretKey returns the SecretKey of the account's long-lived key pair.
func (s *Server) SecretKey() string { return s.longLived.SecretKey }

// Close closes all servers and connections at once and removes all objects.
func (s *Server) Close() error {
	s.cancelWaits()
	return errors.Join(s.cos.Close(), s.sts.Close(), s.metadata.Close(), s.credentialsServer.Close(), os.RemoveAll(s.dir))
}
