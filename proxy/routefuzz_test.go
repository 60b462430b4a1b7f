package proxy_test

import (
	"bufio"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"cosproxy/proxy"
	"cosproxy/signer"
)

const (
	otherBucket = "otherbucket-1250000000"
	otherHost   = otherBucket + ".cos." + region + ".myqcloud.com"
)

// fuzzedRoutes are routes of every kind: selected by path, by host, by both, by
// neither.
func fuzzedRoutes(k proxy.Credentials) []proxy.Route {
	actions := []string{"name/cos:GetObject", "name/cos:GetBucket"}
	return []proxy.Route{
		{Name: "default", Bucket: bucket, AllowPrefixes: []string{"in/*", "one.txt"}, Region: region, AllowActions: actions, Endpoint: plainCOS, Credentials: k},
		{Name: "photos", PathPrefix: "/photos/", Bucket: bucket, ObjectPrefix: "pub/pics/", AllowPrefixes: []string{"pub/*"}, Region: region, AllowActions: actions, Endpoint: plainCOS, Credentials: k},
		{Name: "domain", Hosts: []string{"files.example"}, Bucket: otherBucket, AllowPrefixes: []string{"*"}, Region: region, AllowActions: actions, Endpoint: plainCOS, Credentials: k},
		{Name: "both", Hosts: []string{"files.example"}, PathPrefix: "/a/b/", Bucket: otherBucket, ObjectPrefix: "deep/", AllowPrefixes: []string{"deep/er/*"}, Region: region, AllowActions: actions, Endpoint: plainCOS, Credentials: k},
	}
}

// meaning is the bucket and object key of a request, by the rules in README.
type meaning struct {
	host     string   // that it leaves for
	key      string   // empty for the bucket
	prefixes []string // of keys that may be asked for there
}

var (
	absoluteForm = regexp.MustCompile(`^(?i:https?)://([^/?]+)([^?]*)`)
	bucketName   = regexp.MustCompile(`^(` + bucket + `|` + otherBucket + `)\.(localhost|cos(-internal)?\.(` + region + `|accelerate)\.(myqcloud\.com|tencentcos\.cn))$`)
	regionName   = regexp.MustCompile(`^cos(-internal)?\.` + region + `\.(myqcloud\.com|tencentcos\.cn)$`)
	hostField    = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()*+,;=:\[\]-]*$`) // RFC 9110, 7.2, without escapes
	portOfHost   = regexp.MustCompile(`:[0-9]*$`)
)

// meaningOf interprets a Host and a request target without code of the proxy. ok is
// false if neither leads to a bucket.
func meaningOf(host, target string) (m meaning, ok bool) {
	raw, _, _ := strings.Cut(target, "?")
	if parts := absoluteForm.FindStringSubmatch(target); parts != nil {
		raw = parts[2]
		host = parts[1][strings.LastIndexByte(parts[1], '@')+1:] // it counts, not Host (RFC 9112, 3.2.2)
		if raw == "" {
			raw = "/"
		}
	}
	if raw == "" || raw[0] != '/' {
		return m, false
	}
	name := strings.ToLower(host)
	if net.ParseIP(name) == nil {
		name = portOfHost.ReplaceAllString(name, "")
	}
	name = strings.TrimSuffix(name, ".")
	ownPrefixes := map[string][]string{bucket: {"in/*", "one.txt", "pub/*"}, otherBucket: {"*"}}
	hosts := map[string]string{bucket: cosHost, otherBucket: otherHost}
	keyPrefix := ""
	if parts := bucketName.FindStringSubmatch(name); parts != nil {
		m = meaning{host: hosts[parts[1]], prefixes: ownPrefixes[parts[1]]}
	} else if regionName.MatchString(name) {
		first, rest, _ := strings.Cut(raw[1:], "/")
		m = meaning{host: hosts[first], prefixes: ownPrefixes[first]}
		raw = "/" + rest
	} else if rest, deep := strings.CutPrefix(raw, "/a/b/"); name == "files.example" && deep {
		m, keyPrefix, raw = meaning{host: otherHost, prefixes: []string{"deep/er/*"}}, "deep/", "/"+rest
	} else if name == "files.example" {
		m = meaning{host: otherHost, prefixes: []string{"*"}}
	} else if ip := net.ParseIP(strings.Trim(name, "[]")); name != "" && name != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return m, false
	} else if rest, photos := strings.CutPrefix(raw, "/photos/"); photos {
		m, keyPrefix, raw = meaning{host: cosHost, prefixes: []string{"pub/*"}}, "pub/pics/", "/"+rest
	} else {
		m = meaning{host: cosHost, prefixes: []string{"in/*", "one.txt"}}
	}
	key, err := url.PathUnescape(raw[1:])
	if key != "" {
		key = keyPrefix + key
	}
	m.key = key
	return m, err == nil && m.host != ""
}

// covers reports whether an object key is allowed.
func (m meaning) covers(key string) bool {
	for _, p := range m.prefixes {
		if stem, open := strings.CutSuffix(p, "*"); key == p || open && strings.HasPrefix(key, stem) {
			return true
		}
	}
	return false
}

// resolved is a key with its dot segments resolved at slashes of both kinds. With
// single, several slashes in a row count as one.
func resolved(key string, single bool) string {
	var kept []string
	for segment := range strings.SplitSeq(strings.ReplaceAll(key, `\`, "/"), "/") {
		switch {
		case segment == "..":
			kept = kept[:max(0, len(kept)-1)]
		case segment != "." && (segment != "" || !single):
			kept = append(kept, segment)
		}
	}
	return strings.Join(kept, "/")
}

var dotSegment = regexp.MustCompile(`(^|[/\\])\.\.?([/\\]|$)`)

// inside reports whether the key is allowed in every reading.
func (m meaning) inside(key string) bool {
	return m.covers(key) && (!dotSegment.MatchString(key) || m.covers(resolved(key, false)) && m.covers(resolved(key, true)))
}

// FuzzRoute sends an arbitrary Host and target. The request must reach the bucket and
// object key that README describes, or nothing, and never leave the route's prefixes,
// for any reading of the path by COS.
func FuzzRoute(f *testing.F) {
	for _, host := range []string{
		"localhost", "127.0.0.1:4360", "[::1]:80", "", "LOCALHOST.", "files.example", "Files.Example.:8080", "evil.example", "169.254.0.23",
		bucket + ".localhost:4360", cosHost, otherBucket + ".cos-internal.accelerate.tencentcos.cn:80", "cos." + region + ".myqcloud.com", "service.cos.myqcloud.com",
	} {
		f.Add(host, "/in/a")
		f.Add("localhost", "http://"+host+"/in/a")
	}
	for _, target := range []string{
		"/in/../secret", "/in%2Fa", "/in/%2e%2e/secret", "/in//../x", `/in/..%5C..\x`, "/in/./a", "/one.txt", "/one.txt/",
		"/photos/a", "/photos/../in/a", "/photos%2Fa", "/photos/%2e%2e/%2e%2e/x", "/photos//a", "/photos", "/photos/?prefix=x",
		"//files.example/x", "/", "/.", "/in/..", "/?prefix=in/", "/?prefix=", "/?prefix=in/&prefix=", "/in/a?prefix=x&acl",
		"/in/a%00%0d%0a", "/in/\xff%e4", "*", "http:in/a", "http:///in/a", "A0000:/in/a", "ftp://localhost/in/a", "HTTP://localhost/in/a",
	} {
		f.Add("localhost", target)
		f.Add(cosHost, target)
	}
	for _, target := range []string{"/a/b/er/x", "/a/b/../../x", "/a/b/er/../x", "/a%2Fb/er/x", "/a/b/", "/.", "/x%2f..", "//", "/?prefix=", "/a/b/?prefix=er/"} {
		f.Add("files.example", target)
	}
	for _, target := range []string{"/" + bucket + "/in/a", "/" + bucket + "/../in/a", "/" + otherBucket, "/" + otherBucket + "?prefix=a", "/%2e/in/a"} {
		f.Add("cos."+region+".myqcloud.com", target)
	}
	f.Add("localhost", "http://"+cosHost+"@evil.example/in/a")
	f.Add("localhost", "https://user:pass@"+cosHost+":443?prefix=in/")
	f.Add(cosHost+":80:80", "/in/a")
	m := startMemoryCOS(f, fuzzedRoutes(newCredentials(1)))
	f.Fuzz(func(t *testing.T, host, target string) {
		if strings.ContainsAny(host+target, "\r\n") {
			return // these would be other lines
		}
		if _, query, _ := strings.Cut(target, "?"); signer.SchemeOf(nil, query).IsS3() {
			return // FuzzS3Request
		}
		_, body, got := m.ask(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		want, leads := meaningOf(strings.Trim(host, " \t"), target)
		if got == nil {
			if leads && want.key != "" && path.Clean("/"+want.key) != "/" && want.inside(want.key) && isPlain(host, target) {
				t.Errorf("%q at %q is %+v, but was refused: %s", target, host, want, body)
			}
			return
		}
		rawPath, rawQuery, _ := strings.Cut(got.target(), "?")
		key, err := url.PathUnescape(rawPath)
		if err != nil || !leads || got.Host != want.host || key != "/"+want.key || strings.Contains(rawPath, "+") || strings.ContainsAny(got.target(), "# \t") {
			t.Fatalf("%q at %q is %+v, but left as\n%s(%v)", target, host, want, got.head, err)
		}
		if want.key == "" {
			want.checkListing(t, rawQuery)
		} else if !want.inside(want.key) || path.Clean(key) == "/" {
			t.Errorf("%q at %q is out of %q, but left as\n%s", target, host, want.prefixes, got.head)
		}
	})
}

// isPlain reports whether the proxy must not reject the request for its form: net/http
// accepts it, a URL has a host (RFC 9110, 4.2.1), and it has no query and nothing
// beyond the request.
func isPlain(host, target string) bool {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")))
	return err == nil && r.URL.RawQuery == "" && (r.URL.Host == "" || r.URL.Hostname() != "") &&
		hostField.MatchString(host) && hostField.MatchString(r.Host) && len(target) < 10_000 && len(host) < 10_000
}

// checkListing checks that every listed prefix is allowed.
func (m meaning) checkListing(t *testing.T, rawQuery string) {
	prefix := ""
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, _ = url.QueryUnescape(name); name == "prefix" {
			prefix, _ = url.QueryUnescape(value)
			if !m.covers(prefix + "\xff") {
				break
			}
		}
	}
	if !m.covers(prefix + "\xff") {
		t.Errorf("a listing of %q left, out of %q", prefix, m.prefixes)
	}
}
