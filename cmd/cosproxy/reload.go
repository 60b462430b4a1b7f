package main

import (
	"bytes"
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
	// recheck is how soon a replaced file is noticed.
	recheck = 2 * time.Second
	// readTimeout bounds how long requests wait for a file that hangs, once.
	readTimeout = time.Second
)

// watched is what files say. They are read when somebody asks, and again after
// recheck; at once while something is wrong with them. Requests wait for that, but not
// while a file hangs: then they get what is known.
type watched[T any] struct {
	load func(ctx context.Context) (T, error) // returns soon after ctx ends
	log  *slog.Logger

	mu      sync.Mutex    // not held while files are read
	loading chan struct{} // closed when the load under way ends; nil: there is none
	hangs   bool          // the last load ended with its ctx
	next    time.Time     // when to look again
	value   T             // the last good one
	err     error         // why there is no newer one
}

// get returns the last good value, and what is wrong with the files since then.
// That is logged once.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	if w.loading == nil && !time.Now().Before(w.next) {
		w.loading = make(chan struct{})
		go w.reload(w.loading)
	}
	if loading := w.loading; loading != nil && !w.hangs {
		w.mu.Unlock()
		<-loading
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	return w.value, w.err
}

func (w *watched[T]) reload(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	value, err := w.load(ctx)
	w.mu.Lock()
	known := w.err
	if w.err = err; err == nil {
		w.value, w.next = value, time.Now().Add(recheck)
	}
	w.hangs = errors.Is(err, smallfile.ErrTimeout)
	w.mu.Unlock()
	if err != nil && (known == nil || known.Error() != err.Error()) {
		w.log.Error("a file cannot be used", "error.message", err)
	}
	w.mu.Lock()
	w.loading = nil
	w.mu.Unlock()
	close(done)
}

// clientToken is what requests have to bring, or nil if no file is configured. A
// file that goes bad locks everyone out: to empty it is to revoke the token.
func (c *config) clientToken(log *slog.Logger) guard.Token {
	if c.ClientTokenFile == "" {
		return nil
	}
	known := "" // the start has warned of this one
	file := &watched[string]{log: log, load: func(ctx context.Context) (string, error) {
		token, err := readToken(ctx, c.ClientTokenFile)
		if err != nil {
			return "", fmt.Errorf("%s: %w; nobody is let in until it is right again", variable("ClientTokenFile"), err)
		}
		if warning := weakToken(token); warning != "" && known != "" && token != known {
			log.Warn(warning)
		}
		known = token
		return token, nil
	}}
	return file.get
}

// minToken is the length in bytes from which a token of random characters cannot be
// guessed.
const minToken = 16

// weakToken is the warning for a token that can be guessed, empty for any other.
func weakToken(token string) string {
	if len(token) >= minToken {
		return ""
	}
	return fmt.Sprintf("%s holds a token of %d bytes, which can be guessed: write at least %d random characters, such as openssl rand -hex 16 prints",
		variable("ClientTokenFile"), len(token), minToken)
}

// readToken is the token in the file at path. No error shows it, nor a path that leads
// nowhere, since that may be the token itself.
func readToken(ctx context.Context, path string) (string, error) {
	content, err := smallfile.Read(ctx, path, smallfile.SecretLimit)
	token := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s has a blank, a line break or a character beyond ASCII inside the token", path)
	}
	return token, nil
}

// serverTLS speaks TLS with the certificate of the settings, read again when its
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
