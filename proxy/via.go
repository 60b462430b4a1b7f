package proxy

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// pseudonymPrefix begins the name of every cosproxy in Via.
const pseudonymPrefix = "cosproxy-"

// pseudonymLength is the length of the rest, a crypto/rand.Text.
const pseudonymLength = 26

// via detects request loops (RFC 9110, 7.6.3; RFC 5842, 7.2). The name of each Proxy in
// Via is random, so that it is unique and does not identify the machine.
type via struct {
	name []byte
	own  []byte // the value of Via for a request that came through no other cosproxy
}

func newVia() *via {
	name := pseudonymPrefix + rand.Text()
	return &via{name: []byte(name), own: []byte("1.1 " + name)}
}

// check rejects a request that this Proxy has sent.
func (v *via) check(req *request) error {
	for _, f := range req.head.Fields {
		if http1.EqualFold(f.Name, "Via") && bytes.Contains(f.Value, v.name) {
			return coserr.New(http.StatusLoopDetected, "LoopDetected",
				"cosproxy received a request that it has sent to COS itself: HTTP_PROXY or the endpoint leads back to cosproxy.").
				Try("Correct HTTP_PROXY,", Setting{Name: "Upstream.ConnectTo"}, Setting{Name: "Route.Endpoint"})
		}
	}
	return nil
}

// value returns Via for COS: this Proxy after the other cosproxies in the request, so that
// a loop through several is detected too. It leaves out other proxies, whose names may
// reveal the client's network.
func (v *via) value(req *request) []byte {
	if !req.has("Via") {
		return v.own
	}
	var value []byte
	for entry := range req.head.Elements("Via") {
		if words := strings.Fields(string(entry)); len(words) == 2 && isPseudonym(words[1]) {
			value = append(value, "1.1 "+words[1]+", "...)
		}
	}
	return append(value, v.own...)
}

// isPseudonym reports whether a name has the form of those that newVia makes.
func isPseudonym(name string) bool {
	random, ok := strings.CutPrefix(name, pseudonymPrefix)
	return ok && len(random) == pseudonymLength && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
