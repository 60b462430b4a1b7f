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

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// deleteListLimit is the maximum size of a delete list that is buffered, in bytes: 1000
// object keys of 850 bytes (COS document "DELETE Multiple Objects"), escaped.
const deleteListLimit = 4 << 20

// deleteListMemory is the maximum memory for all buffered delete lists that are longer
// than bufferLimit, in bytes: 16 lists of maximum size.
const deleteListMemory = 16 * deleteListLimit

func isDelete(action string) bool { return action == cosreq.DeleteObject }

// contentMD5 returns the value of Content-MD5 for a delete list.
func contentMD5(list []byte) string {
	sum := md5.Sum(list)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// deleteElements are the paths of the XML elements in a delete list.
var deleteElements = map[string]bool{
	"/Delete": true, "/Delete/Quiet": true, "/Delete/Object": true, deletedKey: true, "/Delete/Object/VersionId": true,
}

const deletedKey = "/Delete/Object/Key"

// deleteConditions are the elements with which S3 deletes an object only if it is unchanged
// (Amazon S3 API Reference, "ObjectIdentifier").
var deleteConditions = map[string]bool{"/Delete/Object/ETag": true, "/Delete/Object/LastModifiedTime": true, "/Delete/Object/Size": true}

var errUnexpectedXML = errors.New("unexpected XML")

// parseDeleteList returns the object keys in a delete list. The error is 501 NotImplemented for a
// condition of S3. It rejects a body in which
// another parser could find more keys: a second document, other elements, comments
// inside a key.
func parseDeleteList(list []byte) (keys []string, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(list))
	path, roots := "", 0
	var key []byte // the decoder may return it in many pieces
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
			if deleteConditions[path] {
				return nil, coserr.New(http.StatusNotImplemented, "NotImplemented",
					"COS does not document the condition %s in a delete list, and may ignore it. Remove it.", token.Name.Local)
			}
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
		default: // comments and processing instructions
			if roots > 0 {
				return nil, errUnexpectedXML
			}
		}
	}
}
