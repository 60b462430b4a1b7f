package issuer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"cosproxy/credcache/smallfile"
)

const (
	// maxTokens limits the tokens in a directory.
	maxTokens = 10_000
	// minToken is the minimum length in bytes of a token of random characters that cannot be
	// guessed.
	minToken = 16
)

// Tokens are the bearer tokens of callers. Only digests are kept. It is immutable.
type Tokens struct {
	digests []tokenDigest
}

type tokenDigest struct {
	caller string
	digest [sha256.Size]byte
}

// ReadTokens reads the tokens of the files in dir: the name of a file is the name of the
// caller, its content is the token, without surrounding white space. Names that begin with a
// dot are skipped. problems describes the other files that are ignored, because the name or
// the token is not usable or two files have the same token. A file that cannot be read is an
// error, because its caller would be unknown; one that was removed meanwhile is a problem. No
// text contains a token.
func ReadTokens(ctx context.Context, dir string) (tokens *Tokens, problems []string, err error) {
	names, err := smallfile.List(ctx, dir, maxTokens)
	if err != nil {
		return nil, nil, err
	}
	byDigest := make(map[[sha256.Size]byte][]string)
	for _, name := range names {
		if strings.HasPrefix(name, ".") { // such as ..data, which Kubernetes adds to a mounted Secret
			continue
		}
		digest, problem, err := readToken(ctx, dir, name)
		if err != nil {
			return nil, nil, fmt.Errorf("the file %s cannot be read: %w", shorten(name), err)
		}
		if problem != "" {
			problems = append(problems, fmt.Sprintf("the file %s %s", shorten(name), problem))
			continue
		}
		byDigest[digest] = append(byDigest[digest], name)
	}
	tokens = new(Tokens)
	for digest, callers := range byDigest {
		if len(callers) > 1 {
			problems = append(problems, fmt.Sprintf("the files %s have the same token; give each caller its own", strings.Join(callers, ", ")))
			continue
		}
		tokens.digests = append(tokens.digests, tokenDigest{callers[0], digest})
	}
	slices.Sort(problems)
	return tokens, problems, nil
}

// readToken returns the digest of the token in a file, or the problem of the file. The error is
// that of a read.
func readToken(ctx context.Context, dir, name string) (digest [sha256.Size]byte, problem string, err error) {
	if !tokenNameForm().MatchString(name) {
		return digest, "has a name that is not one of a caller; use letters, digits and . _ -", nil
	}
	content, err := smallfile.Read(ctx, filepath.Join(dir, name), smallfile.SecretLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return digest, "cannot be read: " + err.Error(), nil
	case err != nil:
		return digest, "", err
	}
	token := strings.TrimSpace(string(content))
	if problem := checkToken(token); problem != "" {
		return digest, problem, nil
	}
	if len(token) < minToken {
		return digest, fmt.Sprintf("has a token of %d bytes, which can be guessed; use at least %d random characters, such as the output of openssl rand -hex 16", len(token), minToken), nil
	}
	return sha256.Sum256([]byte(token)), "", nil
}

// Callers returns the names of the callers, sorted.
func (t *Tokens) Callers() []string {
	names := make(map[string]bool)
	for _, d := range t.digests {
		names[d.caller] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// caller returns the caller with this token, "" if there is none. Digests have one length and
// all are compared, so the time reveals nothing about the tokens.
func (t *Tokens) caller(token string) string {
	caller, digest := "", sha256.Sum256([]byte(token))
	for _, d := range t.digests {
		if subtle.ConstantTimeCompare(d.digest[:], digest[:]) == 1 {
			caller = d.caller
		}
	}
	return caller
}
