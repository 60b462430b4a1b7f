package proxy

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
)

// multiDeleteLimit bounds a delete-multiple body that is read for its keys:
// 1000 keys of 850 bytes (COS document "DELETE Multiple Objects"), escaped.
const multiDeleteLimit = 4 << 20

// multiDeleteMemory bounds all such bodies above replayLimit that are held at once,
// in bytes: 16 of the longest.
const multiDeleteMemory = 16 * multiDeleteLimit

// namesKeysInBody reports whether the keys of t stand in the request's body, and
// not all keys are allowed.
func (t target) namesKeysInBody() bool {
	return t.op.key == "" && t.op.asks(deletesObjects) && !t.route.coversPrefix("")
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
