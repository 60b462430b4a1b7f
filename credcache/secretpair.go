package credcache

import (
	"context"
	"errors"
	"strings"

	"cosproxy/credcache/smallfile"
)

// SecretPair returns the long-lived key pair that requests temporary credentials from STS.
// A source calls it when it is created, so that problems show at startup, and again at each
// fetch, so that the next fetch uses a rotated pair. Its error must not hold the
// SecretKey.
type SecretPair func() (secretID, secretKey string, err error)

// FixedPair returns a pair that never changes.
func FixedPair(secretID, secretKey string) SecretPair {
	return func() (string, string, error) { return secretID, secretKey, nil }
}

// FilePair returns a pair that reads the two files at each call. Surrounding white space
// is removed. It never joins the id of one pair with the key of another as long as both
// files are replaced at once, as kubelet does with a mounted Secret. Errors are
// *OptionErrors with the Field "SecretID" or "SecretKey".
func FilePair(idPath, keyPath string) SecretPair {
	return func() (string, string, error) {
		for range 3 {
			ctx := context.Background() // smallfile.Timeout limits each read
			id, err1 := readText(ctx, "SecretID", idPath)
			key, err2 := readText(ctx, "SecretKey", keyPath)
			if err1 != nil || err2 != nil {
				return id, key, errors.Join(err1, err2)
			}
			if same, err := readText(ctx, "SecretID", idPath); id == same || err != nil {
				return id, key, err
			}
		}
		return "", "", &OptionError{Field: "SecretID", Problem: idPath + " keeps changing; write both files once, at the same time"}
	}
}

// read calls p and validates its result.
func (p SecretPair) read() (id, key string, err error) {
	if p == nil {
		return "", "", &OptionError{Field: "Pair", Problem: "missing; give the long-lived key pair from the CAM console"}
	}
	if id, key, err = p(); err == nil {
		err = errors.Join(checkSecret("SecretID", id), checkSecret("SecretKey", key))
	}
	return id, key, err
}

func checkSecret(field, value string) error {
	switch {
	case value == "":
		return &OptionError{Field: field, Problem: "missing; give the long-lived key pair from the CAM console"}
	case strings.ContainsFunc(value, unprintable):
		return &OptionError{Field: field, Problem: "has a blank, a line break or a control character; give it exactly as the CAM console shows it"}
	}
	return nil
}

// readText returns the content of the file at path without surrounding white space. field
// is the option that names the file. The error on an unreadable path does not quote it,
// because it may be the secret itself by mistake.
func readText(ctx context.Context, field, path string) (string, error) {
	content, err := smallfile.Read(ctx, path, smallfile.SecretLimit)
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", &OptionError{Field: field, Problem: "names a file that cannot be read: " + err.Error(), err: err}
	case text == "":
		return "", &OptionError{Field: field, Problem: path + " is empty; write the value into it"}
	case strings.ContainsFunc(text, unprintable):
		return "", &OptionError{Field: field, Problem: path + " has a blank, a line break or a control character inside the value; write the value alone"}
	}
	return text, nil
}

// readError returns the *SourceError of a source that cannot read its own secrets. It is
// retryable: reading again is cheap, and the file can be corrected at any time.
func readError(source string, err error) error {
	return &SourceError{
		Source: source, Code: "Unreadable", Message: oneLine(err.Error()),
		Hint: "check that the file exists, that this process may read it and that it holds the secret alone", Retryable: true, Err: err,
	}
}
