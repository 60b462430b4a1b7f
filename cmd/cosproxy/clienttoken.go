package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"cosproxy/credcache/smallfile"
	"cosproxy/proxy"
)

// clientToken is what requests have to bring, or nil if no file is configured. A
// file that goes bad locks everyone out: to empty it is to revoke the token.
func (c *config) clientToken(log *slog.Logger) proxy.Token {
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
