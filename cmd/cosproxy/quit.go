package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	"cosproxy/credcache/smallfile"
)

const quitUsage = `cosproxy quit shuts down the cosproxy that runs with the same settings, as SIGTERM
does: it finishes the requests in flight. Use it at the end of a Job whose cosproxy is
an ordinary container.

Usage:
  cosproxy quit [--wait TIME]

  --wait TIME  wait until cosproxy has ended, for at most this time, such as 30s

It sends POST /quit with the token in COSPROXY_QUIT_TOKEN_FILE to COSPROXY_ADMIN_LISTEN,
on this machine only. Over TLS, the server must have the certificate in
COSPROXY_TLS_CERT_FILE.

Exit codes: 0 the shutdown has started or, with --wait, ended; 1 it has not (standard
error has the reason); 2 invalid arguments or settings. Whether requests were canceled
is in the exit code of cosproxy itself.
`

// runQuit asks the cosproxy with the same settings to shut down.
func runQuit(ctx context.Context, args, environ []string, std streams) int {
	flags := newFlags("quit")
	wait := flags.Duration("wait", 0, "")
	if code, ends := parseFlags(flags, args, quitUsage, std); ends {
		return code
	}
	if *wait < 0 {
		return unexpectedArguments(std)
	}
	l, token, err := quitListener(ctx, environ)
	if err != nil {
		return fail(std, "quit", err, exitUsage)
	}
	status, text, err := l.request(ctx, http.MethodPost, quitPath, token)
	if err == nil && status != http.StatusAccepted {
		err = l.notAccepted(status, text)
	}
	if err == nil && *wait > 0 {
		err = poll(ctx, *wait, l.ended)
	}
	if err != nil {
		return fail(std, "quit", err, exitFailure)
	}
	return exitOK
}

// quitListener returns the admin listener and the quit token.
func quitListener(ctx context.Context, environ []string) (l *runningListener, token string, err error) {
	c, err := parseOnly(environ, "AdminListen", "TLSCertFile", "QuitTokenFile")
	if err != nil {
		return nil, "", err
	}
	if c.QuitTokenFile == "" {
		return nil, "", fmt.Errorf("%s is required: set it to a file with a token, for cosproxy and for this command", variable("QuitTokenFile"))
	}
	if l, err = newRunningListener(c, "AdminListen", c.AdminListen, "AdminListen"); err != nil {
		return nil, "", err
	}
	if token, err = readToken(ctx, c.QuitTokenFile); err != nil {
		return nil, "", fmt.Errorf("%s cannot be used: %w; use a file that contains the token alone, on one line", variable("QuitTokenFile"), err)
	}
	if l.tls != nil {
		l.tls, err = pinned(ctx, l.tls, c.TLSCertFile)
	}
	return l, token, err
}

// pinned returns a configuration that accepts only the certificate in certFile. Its names
// and dates do not matter.
func pinned(ctx context.Context, base *tls.Config, certFile string) (*tls.Config, error) {
	content, err := smallfile.Read(ctx, certFile, smallfile.CertificateLimit)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w; use the file that cosproxy uses", variable("TLSCertFile"), err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s contains no PEM certificate; use the file that cosproxy uses", variable("TLSCertFile"))
	}
	c := base.Clone()
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if !bytes.Equal(state.PeerCertificates[0].Raw, block.Bytes) {
			return fmt.Errorf("its certificate is not that in %s, so the token was not sent; if the file has just been replaced, repeat the command", variable("TLSCertFile"))
		}
		return nil
	}
	return c, nil
}

// notAccepted returns the error for a status other than 202.
func (l *runningListener) notAccepted(status int, text string) error {
	if text == "" || status == http.StatusNotFound {
		return fmt.Errorf("%s: %s has status %d; check that cosproxy itself runs with %s", l.name, quitPath, status, variable("QuitTokenFile"))
	}
	return fmt.Errorf("%s: %s has status %d: %s", l.name, quitPath, status, text)
}

var errStillRuns = errors.New("cosproxy has accepted the request but has not ended; wait longer, or look at its log")

// ended returns nil if the listener does not exist any more.
func (l *runningListener) ended(ctx context.Context) error {
	c, err := l.dial(ctx, "", "")
	if err == nil {
		c.Close()
		return errStillRuns
	}
	if isRefused(err) {
		return nil
	}
	return l.explain(err)
}
