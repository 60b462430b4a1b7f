package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"cosproxy/credcache/smallfile"
	"cosproxy/proxy/guard"
)

const (
	// reloadInterval is the minimum time between two reads of valid files.
	reloadInterval = 2 * time.Second
	// readTimeout limits how long a request waits for files that hang.
	readTimeout = time.Second
)

// reloader caches a value that is loaded from files. get reloads it after reloadInterval,
// or after retry if there was an error. Callers of get wait for the load, except while a file
// hangs: then they get the cached value.
type reloader[T any] struct {
	load func(ctx context.Context) (T, error) // must return soon after ctx ends
	log  *slog.Logger
	// timeout limits a load. Zero: readTimeout.
	timeout time.Duration
	// retry is the minimum time between a failed load and the next one.
	retry time.Duration

	mu      sync.Mutex    // not held during a load
	loading chan struct{} // closed when the current load ends; nil if there is none
	hangs   bool          // the last load timed out
	next    time.Time     // of the next load
	value   T             // from the last successful load
	err     error         // of the last load
}

// get returns the value of the last successful load and the error of the last load. It
// logs each error once.
func (r *reloader[T]) get() (T, error) {
	r.mu.Lock()
	if r.loading == nil && !time.Now().Before(r.next) {
		r.loading = make(chan struct{})
		go r.reload(r.loading)
	}
	if loading := r.loading; loading != nil && !r.hangs {
		r.mu.Unlock()
		<-loading
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	return r.value, r.err
}

func (r *reloader[T]) reload(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(r.timeout, readTimeout))
	defer cancel()
	value, err := r.load(ctx)
	r.mu.Lock()
	known := r.err
	if r.err = err; err == nil {
		r.value, r.next = value, time.Now().Add(reloadInterval)
	} else {
		r.next = time.Now().Add(r.retry)
	}
	r.hangs = errors.Is(err, smallfile.ErrTimeout)
	r.mu.Unlock()
	if err != nil && (known == nil || known.Error() != err.Error()) {
		r.log.Error("file cannot be used", "error.message", err)
	}
	r.mu.Lock()
	r.loading = nil
	r.mu.Unlock()
	close(done)
}

// clientToken returns the token that clients must send, or nil if no file is configured.
// While the file is invalid, all requests are rejected, so that emptying it revokes the
// token.
func (c *config) clientToken(log *slog.Logger) guard.Token {
	if c.ClientTokenFile == "" {
		return nil
	}
	known := "" // resolve has already warned about the first token
	file := &reloader[string]{log: log, load: func(ctx context.Context) (string, error) {
		token, err := readToken(ctx, c.ClientTokenFile)
		if err != nil {
			return "", fmt.Errorf("%s: %w; write the token alone into the file, on one line; all requests are rejected until then", variable("ClientTokenFile"), err)
		}
		if warning := weakToken("ClientTokenFile", token); warning != "" && known != "" && token != known {
			log.Warn(warning)
		}
		known = token
		return token, nil
	}}
	return file.get
}

// minToken is the minimum length in bytes of a token of random characters that cannot be
// guessed.
const minToken = 16

// weakToken returns a warning if the token in the file of a field is short enough to be
// guessed, else "".
func weakToken(field, token string) string {
	if len(token) >= minToken {
		return ""
	}
	return fmt.Sprintf("%s contains a token of %d bytes, which can be guessed; use at least %d random characters, such as the output of openssl rand -hex 16",
		variable(field), len(token), minToken)
}

// readToken returns the token in the file at path. No error contains the token, or a path
// without a file, since that may be the token itself.
func readToken(ctx context.Context, path string) (string, error) {
	content, err := smallfile.Read(ctx, path, smallfile.SecretLimit)
	token := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the token in %s contains a space, a line break or a character outside ASCII", path)
	}
	return token, nil
}

// serverTLS returns a TLS configuration that reloads the certificate when its files
// change. Open connections stay open. While certificate and private key do not match, as
// between two writes, new connections use the last valid pair.
func (c *config) serverTLS(log *slog.Logger) *tls.Config {
	current := new(tls.Certificate)
	files := &reloader[*tls.Certificate]{log: log, load: func(ctx context.Context) (*tls.Certificate, error) {
		pair, err := readCertificate(ctx, c.TLSCertFile, c.TLSKeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w; write a certificate and its private key, both as PEM; the last valid pair stays in use until then", variable("TLSCertFile"), variable("TLSKeyFile"), err)
		}
		if len(current.Certificate) == 0 || !bytes.Equal(current.Certificate[0], pair.Certificate[0]) {
			log.Info("TLS certificate", "file.path", c.TLSCertFile, "tls.server.not_after", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
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

// readCertificate is tls.LoadX509KeyPair for files that may hang or be endless. No error
// contains a path without a file, since it may be the private key itself.
func readCertificate(ctx context.Context, certFile, keyFile string) (tls.Certificate, error) {
	cert, err := smallfile.Read(ctx, certFile, smallfile.CertificateLimit)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	key, err := smallfile.Read(ctx, keyFile, smallfile.CertificateLimit)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the private key cannot be read: %w", err)
	}
	return tls.X509KeyPair(cert, key)
}
