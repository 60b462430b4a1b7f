package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"cosproxy/credcache/issuer"
	"cosproxy/credcache/smallfile"
)

// jwksFileInterval is the time between two reads of a JWKS file.
const jwksFileInterval = 10 * time.Second

// issuerKeys returns the keys that verify tokens of service accounts, nil without a JWKS.
func (c *resolved) issuerKeys(t *transports, log *slog.Logger) *issuer.Keys {
	if c.Issuer.JWKS == "" {
		return nil
	}
	opts := issuer.KeysOptions{Logger: log}
	if !isURL(c.Issuer.JWKS) {
		opts.Interval, opts.MinInterval = jwksFileInterval, reloadInterval
	}
	opts.Fetch = func(ctx context.Context) (*issuer.KeySet, error) {
		keys, err := c.readJWKS(ctx, t.toJWKS)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable("JWKS"), err)
		}
		return keys, nil
	}
	return issuer.NewKeys(opts)
}

// readJWKS returns the keys of the JWKS from its file or URL.
func (c *config) readJWKS(ctx context.Context, transport http.RoundTripper) (*issuer.KeySet, error) {
	var document []byte
	var err error
	if isURL(c.Issuer.JWKS) {
		document, err = c.fetchJWKS(ctx, transport)
	} else {
		document, err = smallfile.Read(ctx, c.Issuer.JWKS, smallfile.CertificateLimit)
	}
	if err != nil {
		return nil, err
	}
	return issuer.ParseKeys(document)
}

// fetchJWKS gets the JWKS from its URL. It follows no redirect. No error quotes the URL, the
// token or the response.
func (c *config) fetchJWKS(ctx context.Context, transport http.RoundTripper) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Issuer.JWKS, nil)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	if c.Issuer.JWKSTokenFile != "" {
		content, err := smallfile.Read(ctx, c.Issuer.JWKSTokenFile, smallfile.SecretLimit)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", variable("JWKSTokenFile"), err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(content)))
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("the server cannot be reached: %w; check the URL, and %s for its certificate", unquoted(err), variable("JWKSCAFile"))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server responded with HTTP %d; check the URL and %s", resp.StatusCode, variable("JWKSTokenFile"))
	}
	document, err := io.ReadAll(io.LimitReader(resp.Body, smallfile.CertificateLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the response is incomplete: %w", unquoted(err))
	case len(document) > smallfile.CertificateLimit:
		return nil, fmt.Errorf("the response has more than %d bytes", smallfile.CertificateLimit)
	}
	return document, nil
}

// resolveJWKSRoots sets c.jwksRoots to the CA certificates of JWKSCAFile.
func (c *resolved) resolveJWKSRoots(p *problems) {
	if c.Issuer.JWKSCAFile == "" {
		return
	}
	pem, err := smallfile.Read(context.Background(), c.Issuer.JWKSCAFile, smallfile.CertificateLimit)
	if err != nil {
		p.add(variable("JWKSCAFile"), "is a file that cannot be read: %v; use a PEM file with certificates", err)
		return
	}
	if c.jwksRoots = x509.NewCertPool(); !c.jwksRoots.AppendCertsFromPEM(pem) {
		p.add(variable("JWKSCAFile"), "is %s, which contains no PEM certificate; use a PEM file with certificates", c.Issuer.JWKSCAFile)
	}
}

// jwksReport is the result of the check of a JWKS, and its JSON form.
type jwksReport struct {
	OK   bool `json:"ok"`
	Keys int  `json:"keys,omitempty"` // different key IDs
	fault
}

// checkJWKS fetches the JWKS once, as the issuer does. It returns nil without the URL of one.
func (c *resolved) checkJWKS(ctx context.Context, t *transports) *jwksReport {
	if !c.issues || !isURL(c.Issuer.JWKS) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	keys, err := c.readJWKS(ctx, t.toJWKS)
	if err != nil {
		return &jwksReport{fault: fault{"jwks", err.Error(), "check " + variable("JWKS") + "; tokens of service accounts are rejected until it works"}}
	}
	return &jwksReport{OK: true, Keys: keys.Len()}
}

// text returns the report as text.
func (r *jwksReport) text() string {
	if r.OK {
		return fmt.Sprintf("JWKS: ok\n  keys: %d\n", r.Keys)
	}
	return fmt.Sprintf("JWKS: FAILED (%s)\n  %s\n  %s\n", r.Code, r.Problem, r.Advice)
}
