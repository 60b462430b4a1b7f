package proxy

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// pseudonymPrefix begins the names that cosproxies have in Via.
const pseudonymPrefix = "cosproxy-"

// pseudonymLength is that of the rest, which crypto/rand.Text makes.
const pseudonymLength = 26

// via recognizes requests that come back to the Proxy that sent them (RFC 9110,
// 7.6.3; RFC 5842, 7.2). Its name is random: it says nothing about the machine, and
// no other process has it.
type via struct {
	name []byte
	own  []byte // the value for a request that has passed through no other
}

func newVia() *via {
	name := pseudonymPrefix + rand.Text()
	return &via{name: []byte(name), own: []byte("1.1 " + name)}
}

// check refuses a request that this Proxy has sent.
func (v *via) check(req *request) error {
	for _, f := range req.head.Fields {
		if http1.EqualFold(f.Name, "Via") && bytes.Contains(f.Value, v.name) {
			return coserr.New(http.StatusLoopDetected, "LoopDetected",
				"cosproxy has sent this request itself, and it came back instead of reaching COS: neither HTTP_PROXY nor a server at the endpoint may lead to cosproxy.").
				Try("Check HTTP_PROXY,", Setting{Name: "Upstream.ConnectTo"}, Setting{Name: "Route.Endpoint"})
		}
	}
	return nil
}

// value is Via for COS: v behind the other cosproxies that the request has passed
// through, so that a loop of several is found too. Proxies of other kinds are left
// out, since their names may tell about the network.
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

// isPseudonym reports whether a name is one of newVia.
func isPseudonym(name string) bool {
	random, ok := strings.CutPrefix(name, pseudonymPrefix)
	return ok && len(random) == pseudonymLength && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
