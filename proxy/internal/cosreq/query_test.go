package cosreq_test

import (
	"slices"
	"strings"
	"testing"

	"cosproxy/proxy/internal/cosreq"
)

type params = []cosreq.Param

// COS receives this query; if it equals the client's, it is the same string.
var queryTests = []struct {
	name, raw, wire string
	params          params
}{
	{"none", "", "", nil},
	{"valueless", "acl", "acl", params{{"acl", ""}}},
	{"empty value", "acl=", "acl=", params{{"acl", ""}}},
	{"order kept", "z=1&a=2&m", "z=1&a=2&m", params{{"z", "1"}, {"a", "2"}, {"m", ""}}},
	{"repeated", "a=2&a=1&a", "a=2&a=1&a", params{{"a", "2"}, {"a", "1"}, {"a", ""}}},
	{"names that differ in case", "A=1&a=2", "A=1&a=2", params{{"A", "1"}, {"a", "2"}}},
	{"second = is data", "a=b=c", "a=b=c", params{{"a", "b=c"}}},
	{"question mark is data", "a=?", "a=?", params{{"a", "?"}}},
	{"plus is a space", "prefix=a+b", "prefix=a%20b", params{{"prefix", "a b"}}},
	{"plus in a name", "a+b=c", "a%20b=c", params{{"a b", "c"}}},
	{"plus after a plain pair", "x&a+b=c&y", "x&a%20b=c&y", params{{"x", ""}, {"a b", "c"}, {"y", ""}}},
	{"encoded plus", "prefix=a%2Bb", "prefix=a%2Bb", params{{"prefix", "a+b"}}},
	{"encoded space", "prefix=a%20b", "prefix=a%20b", params{{"prefix", "a b"}}},
	{"semicolon is data", "a=1;b=2&c", "a=1%3Bb=2&c", params{{"a", "1;b=2"}, {"c", ""}}},
	{"hash is data", "a=1#2&b", "a=1%232&b", params{{"a", "1#2"}, {"b", ""}}},
	{"unicode", "prefix=目", "prefix=%E7%9B%AE", params{{"prefix", "目"}}},
	{"lower-case escape", "delimiter=%2f", "delimiter=%2f", params{{"delimiter", "/"}}},
	{"escaped separators", "a=%26%3D%3B", "a=%26%3D%3B", params{{"a", "&=;"}}},
	{"escaped name", "%61cl", "%61cl", params{{"acl", ""}}},
	{"not UTF-8", "a=%FF", "a=%FF", params{{"a", "\xff"}}},
	{"empty pairs", "&a&&b=1&", "a&b=1", params{{"a", ""}, {"b", "1"}}},
	{"empty pair in front", "&a", "a", params{{"a", ""}}},
	{"empty pair at the end", "a&b&", "a&b", params{{"a", ""}, {"b", ""}}},
	{"only separators", "&&&", "", nil},
	{
		"a client's signature", "x=1&q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1%3B2&q-key-time=1%3B2&q-header-list=host" +
			"&q-url-param-list=&q-signature=0&x-cos-security-token=t&x-ci-security-token=t&y",
		"x=1&y", params{{"x", "1"}, {"y", ""}},
	},
	{"a client's signature, disguised", "Q-AK=1&%71-ak=2&q%2Dsignature&a", "a", params{{"a", ""}}},
	{"nothing but a signature", "q-ak=1", "", nil},
	{"a signature at the end", "a&b&q-ak=1", "a&b", params{{"a", ""}, {"b", ""}}},
	{"an old SDK's signature", "a&sign=q-sign-algorithm%3Dsha1%26q-ak%3D1", "a", params{{"a", ""}}},
	{
		"an S3 client's signature", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=900&acl" +
			"&X-Amz-SignedHeaders=host&X-Amz-Signature=s&X-Amz-Security-Token=t",
		"acl", params{{"acl", ""}},
	},
	{"an S3 client's old signature", "AWSAccessKeyId=k&Signature=s&acl", "acl", params{{"acl", ""}}},
	{"a client's signature, beyond ASCII", "a&q-a\u212a=1&\u017fign=2", "a&%C5%BFign=2", params{{"a", ""}, {"\u017fign", "2"}}},
	{"names that only begin alike", "q-akx=1&q-=2&x-cos-security-token2", "q-akx=1&q-=2&x-cos-security-token2", params{{"q-akx", "1"}, {"q-", "2"}, {"x-cos-security-token2", ""}}},
}

func TestParseQuery(t *testing.T) {
	for _, tt := range queryTests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := cosreq.ParseQuery(tt.raw)
			if err != nil {
				t.Fatal(err)
			}
			if q.Raw != tt.wire || !slices.Equal(q.Params, tt.params) {
				t.Errorf("%q became %q %q, want %q %q", tt.raw, q.Raw, q.Params, tt.wire, tt.params)
			}
		})
	}
}

func TestParseQuery_Errors(t *testing.T) {
	for _, raw := range []string{"a=%", "a=%4", "a=%zz", "%", "a&b=%G0&c", "a=%%", "q-ak=%zz", "pass=secret&a=%zz"} {
		_, err := cosreq.ParseQuery(raw)
		wantInvalidURI(t, raw, err, "%25")
	}
	for _, raw := range []string{"=", "=a", "a&=", "==", "a&&=b"} {
		_, err := cosreq.ParseQuery(raw)
		wantInvalidURI(t, raw, err, "name=value")
	}
}

func TestParseQuery_Allocations(t *testing.T) {
	for raw, want := range map[string]float64{"": 0, "versionId=1": 1, "prefix=a/&delimiter=/&max-keys=5": 1, "partNumber=1&uploadId=2&": 1} {
		if n := testing.AllocsPerRun(100, func() { _, _ = cosreq.ParseQuery(raw) }); n > want {
			t.Errorf("%q costs %v allocations, want %v", raw, n, want)
		}
	}
}

// parse parses a valid query.
func parse(t *testing.T, raw string) cosreq.Query {
	t.Helper()
	q, err := cosreq.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQuery_HasGet(t *testing.T) {
	q := parse(t, "a=1&b&a=2&C=3")
	if !q.Has("a") || !q.Has("b") || q.Has("c") || q.Has("") || (cosreq.Query{}).Has("a") {
		t.Error("Has")
	}
	if q.Get("a") != "1" || q.Get("b") != "" || q.Get("c") != "" {
		t.Error("Get")
	}
}

// wantQuery checks the text of a query, and that its parameters match the text.
func wantQuery(t *testing.T, got cosreq.Query, wire string) {
	t.Helper()
	if want := parse(t, wire); got.Raw != wire || !slices.Equal(got.Params, want.Params) {
		t.Errorf("got %q %q, want %q", got.Raw, got.Params, wire)
	}
}

func TestQuery_WithPrefix(t *testing.T) {
	for _, tt := range []struct{ raw, prefix, want string }{
		{"", "dir/", "prefix=dir%2F"},
		{"max-keys=2", "old photos/", "max-keys=2&prefix=old%20photos%2F"},
		{"prefix=2020/&delimiter=/", "old photos/", "prefix=old%20photos%2F2020/&delimiter=/"},
		{"prefix", "a+b/", "prefix=a%2Bb%2F"},
		{"%70refix=a%2Fb", "d/", "prefix=d%2Fa%2Fb"},
		{"prefix=a&x&prefix=b", "d/", "prefix=d%2Fa&x&prefix=d%2Fb"},
	} {
		q := parse(t, tt.raw)
		wantQuery(t, q.WithPrefix(tt.prefix), tt.want)
		wantQuery(t, q, tt.raw) // is not written
	}
}

func TestQuery_Without(t *testing.T) {
	for _, tt := range []struct{ raw, names, want string }{
		{"", "a", ""},
		{"a", "a", ""},
		{"a=1&versionId=%4d%2b&b&c=", "a b c", "versionId=%4d%2b"},
		{"a=1&b&a", "a", "b"},
		{"a&%62", "b", "a"},
		{"a&A", "x", "a&A"},
	} {
		q := parse(t, tt.raw)
		wantQuery(t, q.Without(strings.Fields(tt.names)), tt.want)
		wantQuery(t, q, tt.raw)
	}
}

func TestQuery_Processes(t *testing.T) {
	for raw, want := range map[string]bool{
		"": false, "versionId=1": false, "x-id=GetObject": false, "x-cos-traffic-limit=1&response-content-type=a": false,
		"imageInfo": true, "versionId=1&ci-process=snapshot": true, "versionid=1": true,
	} {
		if got := parse(t, raw).Processes(); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, tt := range queryTests {
		f.Add(tt.raw)
	}
	f.Add("a=%zz")
	f.Add("a=1#b\x01\x7f")
	f.Fuzz(func(t *testing.T, raw string) {
		want, valid := decodeQuery(raw)
		q, err := cosreq.ParseQuery(raw)
		switch {
		case !valid:
			if err == nil {
				t.Fatalf("%q cannot be sent, but became %q", raw, q.Raw)
			}
			return
		case err != nil:
			t.Fatalf("%q is refused: %v", raw, err)
		}
		if !slices.Equal(q.Params, want) {
			t.Errorf("%q reads as %q, want %q", raw, q.Params, want)
		}
		if reread, ok := decodeQuery(q.Raw); !ok || !slices.Equal(reread, want) {
			t.Errorf("%q goes out as %q, which reads as %q, want %q", raw, q.Raw, reread, want)
		}
		if i := strings.IndexFunc(q.Raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("+;#", c) }); i >= 0 {
			t.Errorf("%q goes out as %q, whose byte %d has more than one reading", raw, q.Raw, i)
		}
		again, err := cosreq.ParseQuery(q.Raw)
		if err != nil || again.Raw != q.Raw {
			t.Errorf("%q is rewritten to %q, and that to %q (%v)", raw, q.Raw, again.Raw, err)
		}
		if all := q.Without(nil); all.Raw != q.Raw || !slices.Equal(all.Params, q.Params) {
			t.Errorf("%q without nothing is %q", q.Raw, all.Raw)
		}
		if under := q.WithPrefix("d/"); !under.Has("prefix") || len(under.Params) != strings.Count(under.Raw, "&")+1 {
			t.Errorf("%q under d/ is %q %q", q.Raw, under.Raw, under.Params)
		}
	})
}

// decodeQuery decodes a query byte by byte, without the parameters of a signature.
func decodeQuery(raw string) (decoded params, valid bool) {
	const digits = "0123456789abcdef"
	for _, text := range strings.Split(raw, "&") {
		if text == "" {
			continue
		}
		if text[0] == '=' { // it has no name
			return nil, false
		}
		var pair [2]string
		field := 0
		for i := 0; i < len(text); i++ {
			c := text[i]
			switch {
			case c == '=' && field == 0:
				field = 1
				continue
			case c == '+':
				c = ' '
			case c == '%':
				if i+2 >= len(text) {
					return nil, false
				}
				high := strings.IndexByte(digits, text[i+1]|0x20)
				low := strings.IndexByte(digits, text[i+2]|0x20)
				if high < 0 || low < 0 || text[i+1] < '0' || text[i+2] < '0' {
					return nil, false
				}
				c = byte(high<<4 | low)
				i += 2
			}
			pair[field] += string([]byte{c})
		}
		name := strings.ToLower(pair[0])
		signature := []string{
			"q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature",
			"x-cos-security-token", "x-ci-security-token", "sign", "signature", "awsaccesskeyid",
			"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
			"x-amz-security-token",
		}
		if !slices.Contains(signature, name) {
			decoded = append(decoded, cosreq.Param{Key: pair[0], Value: pair[1]})
		}
	}
	return decoded, true
}
