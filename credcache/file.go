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

// filePollInterval is how soon the cache notices a replaced file. kubelet itself
// takes up to a minute to update a mounted Secret.
const filePollInterval = time.Minute

// FileOptions configure NewFile.
type FileOptions struct {
	// Path of the file. Required. Each read opens the path again, so a symlink in it
	// may be swapped. "~" is not expanded.
	Path string
	// Profile is the section of an INI file. It is ignored for JSON. Empty: default.
	Profile string
}

// NewFile returns a Source that reads credentials from a file of at most 64 KiB. It
// never writes the file. The scope does not limit the credentials. Content that starts
// with a brace is JSON in one of these forms:
//
//	{"credentials":{"tmpSecretId":"…","tmpSecretKey":"…","sessionToken":"…"},"expiredTime":1700001800}
//	{"TmpSecretId":"…","TmpSecretKey":"…","Token":"…","ExpiredTime":1700001800,"Expiration":"2023-11-14T22:43:20Z"}
//	{"secretId":"…","secretKey":"…","token":"…","expiresAt":1700001800}
//
// The last form is ~/.tccli/<profile>.credential of tccli. Other content is INI, as
// ~/.tencentcloud/credentials of Tencent's SDKs:
//
//	[default]
//	secret_id = …
//	secret_key = …
//	token = …
//
// Token and expiry are optional, but credentials with an expiry need a token.
//
// The source is a Poller: another program may replace the credentials long before they
// expire, and credentials without an expiry would otherwise stay in use for ever. So the
// cache reads the file every minute, and whenever COS rejects the credentials. The
// source does not invent an expiry for this: Expires is that of the file, or zero.
//
// Errors of Fetch are *SourceErrors. All of them are retryable, because the file can be
// corrected at any time and reading it again is cheap. They never quote the file. The
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

// PollInterval makes fileSource a Poller.
func (s fileSource) PollInterval() time.Duration { return filePollInterval }

// Fetch reads the file.
func (s fileSource) Fetch(ctx context.Context, _ Scope) (signer.Credentials, error) {
	content, err := smallfile.Read(ctx, s.Path, smallfile.SecretLimit)
	if err != nil { // without the path, which may be the secret itself by mistake
		return signer.Credentials{}, readError("file", fmt.Errorf("the credentials file cannot be read: %w", err))
	}
	creds, problem, hint := s.parse(content)
	if problem == "" {
		problem, hint = validateCredentials(creds, false), "write complete credentials with a later expiry into it"
	}
	if problem != "" {
		return signer.Credentials{}, &SourceError{
			Source: "file", Message: oneLine(s.Path + " " + problem), Hint: hint, Retryable: true, Err: ErrInvalidResponse,
		}
	}
	return creds, nil
}

// parse returns the credentials in content. problem is empty on success.
func (s fileSource) parse(content []byte) (creds signer.Credentials, problem, hint string) {
	const forms = "write a JSON object, or [section] and name = value as in ~/.tencentcloud/credentials"
	content = bytes.TrimSpace(content)
	if bytes.HasPrefix(content, []byte("{")) {
		creds, err := parseCredentials(content)
		if err != nil {
			return creds, "is not valid JSON with credentials", forms
		}
		return creds, "", ""
	}
	creds, found := parseProfile(string(content), s.Profile)
	if !found {
		return creds, "has no profile [" + s.Profile + "]", forms
	}
	return creds, "", ""
}

// parseProfile reads one section of INI text. It skips unknown lines, because the SDKs
// keep other settings there too.
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
