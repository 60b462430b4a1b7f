package proxy

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
)

// multiDeleteLimit bounds a delete-multiple body that is read whole:
// 1000 keys of 850 bytes (COS document "DELETE Multiple Objects"), escaped.
const multiDeleteLimit = 4 << 20

// multiDeleteMemory bounds all such bodies above replayLimit that are held at once,
// in bytes: 16 of the longest.
const multiDeleteMemory = 16 * multiDeleteLimit

// namesKeysInBody reports whether the keys of t stand in the request's body, and
// not all keys are allowed.
func (t target) namesKeysInBody() bool {
	return t.deletesMany() && !t.route.coversPrefix("")
}

// deletesMany reports whether t is a delete-multiple request.
func (t target) deletesMany() bool { return t.op.key == "" && t.op.asks(deletesObjects) }

// readsDeletes reports whether the list of keys to delete is read whole: to check
// the keys, or for the Content-MD5 that COS demands and newer S3 clients leave out.
func (x *exchange) readsDeletes() bool {
	return x.target.namesKeysInBody() || x.target.deletesMany() && first(x.r.Header["Content-Md5"]) == "" && !x.upload.empty()
}

// addDigest gives a list of keys to delete its Content-MD5, unless the client sent
// one.
func (x *exchange) addDigest() error {
	if first(x.r.Header["Content-Md5"]) != "" {
		return nil
	}
	if x.upload.small == nil {
		return errorf(http.StatusBadRequest, "MalformedXML",
			"COS demands a Content-MD5, and cosproxy makes one for lists of up to %d MiB only. Send the header, or less keys at once.",
			multiDeleteLimit>>20)
	}
	sum := md5.Sum(x.upload.small)
	x.out.Header["Content-Md5"] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	return nil
}

func deletesObjects(action string) bool { return action == actionPrefix+"DeleteObject" }

// authorizeDeletes checks each key of a delete-multiple body.
func (p *Proxy) authorizeDeletes(x *exchange) error {
	rt := x.target.route
	keys, err := deletedKeys(x.upload.small)
	if err != nil {
		return errorf(http.StatusBadRequest, "MalformedXML",
			"The body is no list of keys to delete of at most %d MiB, so its keys cannot be checked against %sPREFIXES.",
			multiDeleteLimit>>20, rt.Settings)
	}
	return p.settle(x, func(rt *route) error {
		if err := rt.authorize(x.target, x.r.Method); err != nil {
			return err
		}
		return rt.authorizeKeys(keys)
	})
}

func (rt Route) authorizeKeys(keys []string) error {
	for _, key := range keys {
		if !rt.coversKey(key) {
			return rt.denied(actionPrefix+"DeleteObject", key, "PREFIXES")
		}
	}
	return nil
}

// deleteElements are the elements of a delete-multiple body, with those around.
var deleteElements = map[string]bool{
	"/Delete": true, "/Delete/Quiet": true, "/Delete/Object": true, "/Delete/Object/Key": true, "/Delete/Object/VersionId": true,
}

var errUnexpectedXML = errors.New("unexpected XML")

// deletedKeys returns the keys that a delete-multiple body names. It refuses what
// another reader could find more keys in: a second document behind the first,
// elements by other names, comments inside of a key.
func deletedKeys(body []byte) (keys []string, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	path, roots := "", 0
	var key []byte // may come in very many pieces
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && roots == 1 {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if path == "" {
				roots++
			}
			path += "/" + token.Name.Local
			if !deleteElements[path] || roots > 1 {
				return nil, errUnexpectedXML
			}
			key = key[:0]
		case xml.EndElement:
			if path == deletedKey {
				keys = append(keys, string(key))
			}
			path = path[:strings.LastIndexByte(path, '/')]
		case xml.CharData:
			if path == deletedKey {
				key = append(key, token...)
			}
		case xml.Directive:
			return nil, errUnexpectedXML
		default: // comments and instructions
			if roots > 0 {
				return nil, errUnexpectedXML
			}
		}
	}
}

const deletedKey = "/Delete/Object/Key"
