package proxy

import (
	"encoding/xml"
	"net/http"
)

// multiDeleteLimit bounds a delete-multiple body that is read for its keys:
// 1000 keys of 850 bytes (COS document "DELETE Multiple Objects"), escaped.
const multiDeleteLimit = 4 << 20

// namesKeysInBody reports whether the keys of t stand in the request's body, and
// not all keys are allowed.
func (t target) namesKeysInBody() bool {
	return t.op.action == actionPrefix+"DeleteObject" && t.op.key == "" && !t.route.coversPrefix("")
}

// authorizeDeletes checks each key of a delete-multiple body.
func (rt Route) authorizeDeletes(body []byte) error {
	var doc struct {
		XMLName xml.Name `xml:"Delete"`
		Objects []struct {
			Keys []string `xml:"Key"`
		} `xml:"Object"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return errorf(http.StatusBadRequest, "MalformedXML",
			"The body is no list of keys to delete of at most %d MiB, so its keys cannot be checked against %sPREFIXES.",
			multiDeleteLimit>>20, rt.Settings)
	}
	for _, o := range doc.Objects {
		for _, key := range o.Keys {
			if !rt.coversKey(key) {
				return rt.denied(actionPrefix+"DeleteObject", key, "PREFIXES")
			}
		}
	}
	return nil
}
