package proxy

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// pseudonymPrefix begins the names that cosproxies have in Via.
const pseudonymPrefix = "cosproxy-"

// pseudonymLength is that of the rest, which crypto/rand.Text makes.
const pseudonymLength = 26

// via recognizes requests that come back to the Proxy that sent them (RFC 9110,
// 7.6.3; RFC 5842, 7.2). Its name is random: it says nothing about the machine, and
// no other process has it.
type via struct {
	name string
	own  []string // the header of a request that has passed through no other
}

func newVia() *via {
	name := pseudonymPrefix + rand.Text()
	return &via{name: name, own: []string{"1.1 " + name}}
}

// check refuses a request that this Proxy has sent.
func (v *via) check(h http.Header) error {
	if !slices.ContainsFunc(h["Via"], func(value string) bool { return strings.Contains(value, v.name) }) {
		return nil
	}
	return errorf(http.StatusLoopDetected, "LoopDetected",
		"cosproxy has sent this request itself, and it came back instead of reaching COS. "+
			"Check HTTP_PROXY, COSPROXY_CONNECT_TO, COSPROXY_ENDPOINT and what listens there: none of them may lead to cosproxy.")
}

// header is Via for COS: v behind the other cosproxies that the request has passed
// through, so that a loop of several is found too. Proxies of other kinds are left
// out, since their names may tell about the network.
func (v *via) header(in http.Header) []string {
	if len(in["Via"]) == 0 {
		return v.own
	}
	var passed []string
	for _, value := range in["Via"] {
		for entry := range strings.SplitSeq(value, ",") {
			if fields := strings.Fields(entry); len(fields) == 2 && isPseudonym(fields[1]) {
				passed = append(passed, "1.1 "+fields[1])
			}
		}
	}
	return []string{strings.Join(append(passed, v.own...), ", ")}
}

// isPseudonym reports whether a name is one of newVia.
func isPseudonym(name string) bool {
	random, ok := strings.CutPrefix(name, pseudonymPrefix)
	return ok && len(random) == pseudonymLength && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
