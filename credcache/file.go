package credcache

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"cosproxy/credcache/smallfile"
	"cosproxy/signer"
)

// fileRecheck is how soon a replaced file is noticed. kubelet itself takes up to
// a minute to bring a changed Secret into a pod.
const fileRecheck = time.Minute

// FileOptions configure NewFile.
type FileOptions struct {
	// Path of the file. Required. It is opened by this path each time, so a
	// symlink on the way to it may be swapped. "~" is not replaced.
	Path string
	// Profile is the section of an INI file; a JSON file has none. Empty:
	// default.
	Profile string
}

// NewFile returns a Source that takes the key from a file of at most 64 KiB. It
// does not write it, and what the key may do was decided where it was issued,
// whatever the scope. What begins with a brace is JSON, one of
//
//	{"credentials":{"tmpSecretId":"…","tmpSecretKey":"…","sessionToken":"…"},"expiredTime":1700001800}
//	{"TmpSecretId":"…","TmpSecretKey":"…","Token":"…","ExpiredTime":1700001800,"Expiration":"2023-11-14T22:43:20Z"}
//	{"secretId":"…","secretKey":"…","token":"…","expiresAt":1700001800}
//
// the last of which is ~/.tccli/<profile>.credential of tccli. All else is INI,
// as ~/.tencentcloud/credentials of Tencent's SDKs:
//
//	[default]
//	secret_id = …
//	secret_key = …
//	token = …
//
// Token and expiry may be missing, but a key that expires needs a token.
//
// The source is a Rechecker: whoever wrote the file may replace the key long
// before it expires, and a key without expiry would otherwise be kept for ever.
// So the cache reads the file again every minute, besides whenever COS refuses
// the key. An expiry is not invented for that: the signer sees the one in the
// file or none.
//
// Errors of Fetch are *SourceErrors and all retryable, since the file can be put
// right at any moment and another look costs nothing. They never quote it. The
// error of NewFile is an *OptionError.
func NewFile(opts FileOptions) (Source, error) {
	if opts.Profile == "" {
		opts.Profile = "default"
	}
	if err := required("Path", opts.Path); err != nil {
		return nil, err
	}
	return fileSource(opts), nil
}

type fileSource FileOptions

// Recheck makes fileSource a Rechecker.
func (s fileSource) Recheck() time.Duration { return fileRecheck }

// Fetch reads the file.
func (s fileSource) Fetch(ctx context.Context, _ Scope) (signer.Credentials, error) {
	content, err := smallfile.Read(ctx, s.Path, smallfile.SecretLimit)
	if err != nil { // it does not repeat the path, which may be the secret itself
		return signer.Credentials{}, unreadable("file", fmt.Errorf("the path leads to no file that can be read: %w", err))
	}
	creds, problem, hint := s.parse(content)
	if problem == "" {
		problem, hint = lacks(creds, false), "write a whole key with a later expiry into it"
	}
	if problem != "" {
		return signer.Credentials{}, &SourceError{
			Source: "file", Message: oneLine(s.Path + " " + problem), Hint: hint, Retryable: true, Err: ErrBadAnswer,
		}
	}
	return creds, nil
}

func (s fileSource) parse(content []byte) (creds signer.Credentials, problem, hint string) {
	const forms = "write a JSON object, or [section] and name = value as ~/.tencentcloud/credentials"
	content = bytes.TrimSpace(content)
	if bytes.HasPrefix(content, []byte("{")) {
		creds, err := parseKey(content)
		if err != nil {
			return creds, "is not the JSON of a key", forms
		}
		return creds, "", ""
	}
	creds, found := parseProfile(string(content), s.Profile)
	if !found {
		return creds, "has no profile [" + s.Profile + "]", forms
	}
	return creds, "", ""
}

// parseProfile reads one section of INI text. Lines that it does not know are
// passed over, as the SDKs keep other settings there too.
func parseProfile(text, profile string) (creds signer.Credentials, found bool) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if section, ok := strings.CutPrefix(line, "["); ok {
			name, closed := strings.CutSuffix(section, "]")
			inside = closed && strings.TrimSpace(name) == profile
			found = found || inside
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		if !inside {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "secret_id":
			creds.SecretID = value
		case "secret_key":
			creds.SecretKey = value
		case "token":
			creds.Token = value
		}
	}
	return creds, found
}
