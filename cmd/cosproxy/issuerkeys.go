package main

import (
	"context"
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
	opts := issuer.KeysOptions{Logger: log}
	fetch := func(ctx context.Context) ([]byte, error) { return c.fetchJWKS(ctx, t.toSource) }
	switch {
	case c.Issuer.JWKS == "":
		return nil
	case !isURL(c.Issuer.JWKS):
		opts.Interval, opts.MinInterval = jwksFileInterval, reloadInterval
		fetch = func(ctx context.Context) ([]byte, error) {
			return smallfile.Read(ctx, c.Issuer.JWKS, smallfile.CertificateLimit)
		}
	}
	opts.Fetch = func(ctx context.Context) ([]byte, error) {
		document, err := fetch(ctx)
		if err == nil {
			_, err = issuer.ParseKeys(document) // so that the error names the setting
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable("JWKS"), err)
		}
		return document, nil
	}
	return issuer.NewKeys(opts)
}

// fetchJWKS gets the JWKS from its URL. It follows no redirect. No error quotes the URL, the
// token or the response.
func (c *resolved) fetchJWKS(ctx context.Context, transport http.RoundTripper) ([]byte, error) {
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
		return nil, fmt.Errorf("the server cannot be reached: %w; check the URL, and %s for its certificate", unquoted(err), variable("CAFile"))
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
