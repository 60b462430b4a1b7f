package proxy_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// Of two routes to one bucket, the one that allows the object keys in the body serves
// the request, with its endpoint and credentials.
func TestAuthorize_BodyKeysSelectRoute(t *testing.T) {
	firstKeys, secondKeys := newCredentials(1), newCredentials(2)
	secondKeys.list = secondKeys.list[1:]
	first, second := newUpstream(t, listen(t), firstKeys, nil), newUpstream(t, listen(t), secondKeys, nil)
	r := start(t, setup{options: func(o *proxy.Options) {
		a := o.Routes[0]
		a.Name, a.Endpoint, a.AllowPrefixes, a.Credentials = "a", "http://"+first.listener.Addr().String(), []string{"a/*"}, firstKeys
		b := o.Routes[0]
		b.Name, b.Endpoint, b.AllowPrefixes, b.Credentials, b.PathPrefix = "b", "http://"+second.listener.Addr().String(), []string{"b/*"}, secondKeys, "/b/"
		o.Routes, o.Upstream = []proxy.Route{a, b}, proxy.Upstream{}
	}})
	list := "<Delete><Object><Key>b/1</Key></Object><Object><Key>b/2</Key></Object></Delete>"
	sum := md5.Sum([]byte(list))
	for name, request := range map[string]string{
		"list": fmt.Sprintf("POST /?delete HTTP/1.1\r\nHost: %s\r\nContent-MD5: %s\r\nContent-Length: %d\r\n\r\n%s",
			cosHost, base64.StdEncoding.EncodeToString(sum[:]), len(list), list),
		"form": strings.Replace(post("/", "", field("key", "b/1")+file("f", "x"+closing)), "Host: localhost", "Host: "+cosHost, 1),
	} {
		before := len(second.seen())
		if rep := r.exchange(t, request); rep.status != http.StatusOK {
			t.Fatalf("%s: got\n%s%s", name, rep.head, rep.body)
		}
		if n := len(first.seen()); n != 0 {
			t.Errorf("%s: %d requests reached the endpoint of the other route", name, n)
		}
		if n := len(second.seen()) - before; n != 1 {
			t.Errorf("%s: %d requests reached the endpoint of the route, want 1", name, n)
		}
	}
	mixed := strings.Replace(list, "b/2", "a/2", 1)
	rep := r.exchange(t, fmt.Sprintf("POST /?delete HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", cosHost, len(mixed), mixed))
	if rep.status != http.StatusForbidden || len(second.seen()) != 2 {
		t.Errorf("keys of two routes: %d, %d requests", rep.status, len(second.seen()))
	}
}

// A delete list is checked against the prefixes of the selected route, even if the
// first route allows every key and is rejected for another reason.
func TestAuthorize_SecondRouteChecksBodyKeys(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) {
		a, b := o.Routes[0], o.Routes[0]
		a.Name, a.AllowActions = "a", []string{"name/cos:DeleteObject"}
		b.Name, b.PathPrefix, b.AllowPrefixes = "b", "/b/", []string{"b/*"}
		o.Routes = []proxy.Route{a, b}
	}})
	list := "<Delete><Object><Key>secret</Key></Object></Delete>"
	rep := r.exchange(t, fmt.Sprintf("POST /?delete HTTP/1.1\r\nHost: %s\r\nx-cos-copy-source: %[1]s/b/x\r\nContent-Length: %d\r\n\r\n%s", cosHost, len(list), list))
	r.refused(t, rep, http.StatusForbidden, "AccessDenied")
}

// Every field with an object key is checked, not only the first.
func TestAuthorize_EveryKeyField(t *testing.T) {
	const rules = `{"rules":[{"fileid":"b","bucket":"otherbucket-1250000000"}]}`
	for name, request := range map[string]string{
		"form":  post("/", "", field("key", "a")+field("x-cos-symlink-target", "y")+field("Pic-Operations", rules)+file("f", "x"+closing)),
		"query": "PUT /a?x-cos-symlink-target=y&pic-operations=" + url.QueryEscape(rules) + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{})
			r.refused(t, r.exchange(t, request), http.StatusForbidden, "AccessDenied")
		})
	}
}
