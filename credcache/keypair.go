package credcache

import (
	"context"
	"errors"
	"strings"

	"cosproxy/credcache/smallfile"
)

// KeyPair gives the long-lived pair that asks STS for temporary keys. It is
// called when the source is made, so that a mistake shows at start, and again
// at each fetch, so that a rotated pair is used from the next one on. Its error
// must not hold the SecretKey.
type KeyPair func() (secretID, secretKey string, err error)

// FixedPair is a pair that stays the same.
func FixedPair(secretID, secretKey string) KeyPair {
	return func() (string, string, error) { return secretID, secretKey, nil }
}

// FilePair is the pair that the two files hold whenever it is asked for; blanks
// and line breaks around the values do not count. It never joins the id of one
// pair with the key of another as long as both files are replaced at once, as
// kubelet does with a mounted secret. Errors are *OptionErrors with the Field
// "SecretID" or "SecretKey".
func FilePair(idPath, keyPath string) KeyPair {
	return func() (string, string, error) {
		for range 3 {
			ctx := context.Background() // smallfile.Timeout bounds each read
			id, err1 := readText(ctx, "SecretID", idPath)
			key, err2 := readText(ctx, "SecretKey", keyPath)
			if err1 != nil || err2 != nil {
				return id, key, errors.Join(err1, err2)
			}
			if same, err := readText(ctx, "SecretID", idPath); id == same || err != nil {
				return id, key, err
			}
		}
		return "", "", &OptionError{Field: "SecretID", Problem: idPath + " changes all the time; write both files once, at the same time"}
	}
}

// read is p's answer, checked.
func (p KeyPair) read() (id, key string, err error) {
	if p == nil {
		return "", "", &OptionError{Field: "Pair", Problem: "missing; give the long-lived pair from the CAM console"}
	}
	if id, key, err = p(); err == nil {
		err = errors.Join(checkSecret("SecretID", id), checkSecret("SecretKey", key))
	}
	return id, key, err
}

func checkSecret(field, value string) error {
	switch {
	case value == "":
		return &OptionError{Field: field, Problem: "missing; give the long-lived pair from the CAM console"}
	case strings.ContainsFunc(value, unprintable):
		return &OptionError{Field: field, Problem: "has a blank, a line break or a control character; give it exactly as the CAM console shows it"}
	}
	return nil
}

// readText is the trimmed content of the file at path, for the option field. A path
// that cannot be read is not repeated, since it may be the secret itself.
func readText(ctx context.Context, field, path string) (string, error) {
	content, err := smallfile.Read(ctx, path, smallfile.SecretLimit)
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", &OptionError{Field: field, Problem: "names a file that cannot be read: " + err.Error(), err: err}
	case text == "":
		return "", &OptionError{Field: field, Problem: path + " is empty"}
	case strings.ContainsFunc(text, unprintable):
		return "", &OptionError{Field: field, Problem: path + " has a blank, a line break or a control character inside the value; write the value alone"}
	}
	return text, nil
}

// unreadable is the failure of a source to read its own secrets. Looking again
// costs nothing, and whoever mounts the file may put it right at any moment.
func unreadable(source string, err error) error {
	return &SourceError{
		Source: source, Code: "Unreadable", Message: oneLine(err.Error()),
		Hint: "check that the file is there, that this process may read it and that it holds the secret alone", Retryable: true, Err: err,
	}
}
