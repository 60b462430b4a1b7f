package credcache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
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
			id, err1 := readText("SecretID", idPath)
			key, err2 := readText("SecretKey", keyPath)
			same, err3 := readText("SecretID", idPath)
			if err1 == nil {
				err1 = err3
			}
			if id == same || err1 != nil || err2 != nil {
				return id, key, errors.Join(err1, err2)
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

// readText is the trimmed content of the file at path, for the option field.
func readText(field, path string) (string, error) {
	content, err := readFile(path)
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", &OptionError{Field: field, Problem: err.Error()}
	case text == "":
		return "", &OptionError{Field: field, Problem: path + " is empty"}
	case strings.ContainsFunc(text, unprintable):
		return "", &OptionError{Field: field, Problem: path + " has a blank, a line break or a control character inside the value; write the value alone"}
	}
	return text, nil
}

// readFile is os.ReadFile for small plain files: a pipe could keep a fetch
// waiting for ever. The path is opened anew each time, so it may be a symlink
// that is swapped.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxAnswer+1))
	if len(content) > maxAnswer {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxAnswer)
	}
	return content, err
}

// unreadable is the failure of a source to read its own secrets. Looking again
// costs nothing, and whoever mounts the file may put it right at any moment.
func unreadable(source string, err error) error {
	return &SourceError{
		Source: source, Code: "Unreadable", Message: oneLine(err.Error()),
		Hint: "check that the file is there, that this process may read it and that it holds the secret alone", Retryable: true, Err: err,
	}
}
