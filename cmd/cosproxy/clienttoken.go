package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"cosproxy/proxy"
)

// clientToken is what requests have to bring, or nil if no file is configured. A
// file that goes bad locks everyone out: to empty it is to revoke the token.
func (c *config) clientToken(log *slog.Logger) proxy.Token {
	if c.ClientTokenFile == "" {
		return nil
	}
	file := &watched[string]{log: log, load: func() (string, error) {
		token, err := readToken(c.ClientTokenFile)
		if err != nil {
			return "", fmt.Errorf("%s: %w; nobody is let in until it is right again", variable("ClientTokenFile"), err)
		}
		return token, nil
	}}
	return file.get
}

// readToken is the token in the file at path. No error shows it.
func readToken(path string) (string, error) {
	content, err := os.ReadFile(path)
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
