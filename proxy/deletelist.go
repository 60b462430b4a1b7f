package proxy

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"cosproxy/proxy/internal/cosreq"
)

// deleteListLimit bounds a list of keys to delete that is read whole: 1000 keys of
// 850 bytes (COS document "DELETE Multiple Objects"), escaped.
const deleteListLimit = 4 << 20

// deleteListMemory bounds all such lists above bufferLimit that are held at once,
// in bytes: 16 of the longest.
const deleteListMemory = 16 * deleteListLimit

func isDelete(action string) bool { return action == cosreq.DeleteObject }

// contentMD5 is the value of Content-MD5 for a list.
func contentMD5(list []byte) string {
	sum := md5.Sum(list)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// deleteElements are the elements of a list of keys to delete, with those around.
var deleteElements = map[string]bool{
	"/Delete": true, "/Delete/Quiet": true, "/Delete/Object": true, deletedKey: true, "/Delete/Object/VersionId": true,
}

const deletedKey = "/Delete/Object/Key"

var errUnexpectedXML = errors.New("unexpected XML")

// parseDeleteList returns the keys that a list names. It refuses a body in which
// another reader could find more keys: a second document behind the first,
// elements by other names, comments inside of a key.
func parseDeleteList(list []byte) (keys []string, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(list))
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
