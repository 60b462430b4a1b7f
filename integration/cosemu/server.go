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

// Options says what Start serves. The zero value serves one bucket,
// examplebucket-1250000000 in ap-guangzhou, on free loopback ports.
type Options struct {
	// Buckets are the buckets that exist, each with its APPID
	// (examplebucket-1250000000). Empty means examplebucket-1250000000.
	Buckets []string
	// Region is where the buckets are; empty means ap-guangzhou.
	Region string
	// COSListen and STSListen are host:port; empty means 127.0.0.1:0.
	COSListen, STSListen string
	// SecretID and SecretKey are the account's long-lived pair, which STS
	// accepts and which may do everything at COS. Empty fields are generated.
	SecretID, SecretKey string
	// KeyLife overrides the life that STS gives its keys, whatever was asked.
	// Zero means as asked.
	KeyLife time.Duration
	// StrictSignature puts every bucket in strict signature mode: host,
	// content-length, content-type, content-md5, range, every x-cos-* header and
	// every parameter that is present must be signed.
	StrictSignature bool
	// Now is the servers' clock; nil means time.Now.
	Now func() time.Time
	// TLS, when set, makes the COS listener speak TLS with it.
	TLS *tls.Config
}

// Server is a running pair of COS and STS. Its methods may be called from any
// goroutine.
type Server struct {
	options Options
	dir     string
	store   *store
	keys    *keyRing
	account *Key
	record  record
	faults  faults
	closing context.CancelFunc

	cos, sts       http.Server
	cosAddr        string
	stsAddr        string
	bucketHosts    hostPattern
	requestCounter atomic.Uint64
}

// Start opens both listeners and serves until Close. It fails on a malformed
// bucket name and when it cannot listen or make its temporary directory.
func Start(o Options) (*Server, error) {
	o.Region = cmp.Or(o.Region, "ap-guangzhou")
	if len(o.Buckets) == 0 {
		o.Buckets = []string{"examplebucket-1250000000"}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.SecretID = cmp.Or(o.SecretID, newSecretID())
	o.SecretKey = cmp.Or(o.SecretKey, newSecretKey())

	s := &Server{options: o, keys: newKeyRing(), bucketHosts: hostPattern{o.Region}}
	s.faults.closing, s.closing = context.WithCancel(context.Background())
	s.account = &Key{SecretID: o.SecretID, SecretKey: o.SecretKey}
	s.keys.add(s.account)
	dir, err := os.MkdirTemp("", "cosemu-")
	if err != nil {
		return nil, fmt.Errorf("cosemu: no directory for object bodies: %w", err)
	}
	s.dir = dir
	if s.store, err = newStore(dir, o.Buckets); err == nil {
		err = s.listen()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) listen() error {
	cos, err := net.Listen("tcp", cmp.Or(s.options.COSListen, "127.0.0.1:0"))
	if err != nil {
		return fmt.Errorf("cosemu: COS: %w", err)
	}
	sts, err := net.Listen("tcp", cmp.Or(s.options.STSListen, "127.0.0.1:0"))
	if err != nil {
		return errors.Join(fmt.Errorf("cosemu: STS: %w", err), cos.Close())
	}
	s.cosAddr, s.stsAddr = cos.Addr().String(), sts.Addr().String()
	if s.options.TLS != nil {
		cos = tls.NewListener(cos, s.options.TLS)
	}
	s.cos.Handler = http.HandlerFunc(s.serveCOS)
	s.sts.Handler = http.HandlerFunc(s.serveSTS)
	serve(&s.cos, cos)
	serve(&s.sts, sts)
	return nil
}

// serve runs srv until it is closed. A listener that fails of itself has no one
// to tell but the clients, whose connections fail.
func serve(srv *http.Server, l net.Listener) {
	srv.ReadHeaderTimeout = 30 * time.Second
	go func() { _ = srv.Serve(l) }()
}

// COSAddr returns the host:port to dial for every bucket's host name.
func (s *Server) COSAddr() string { return s.cosAddr }

// STSURL returns the URL of the STS, without a path.
func (s *Server) STSURL() string { return "http://" + s.stsAddr }

// SecretID returns the SecretId of the account's long-lived pair.
func (s *Server) SecretID() string { return s.account.SecretID }

// SecretKey returns the SecretKey of the account's long-lived pair.
func (s *Server) SecretKey() string { return s.account.SecretKey }

// Close ends both servers and every connection at once, and removes all
// objects.
func (s *Server) Close() error {
	s.closing()
	return errors.Join(s.cos.Close(), s.sts.Close(), os.RemoveAll(s.dir))
}
