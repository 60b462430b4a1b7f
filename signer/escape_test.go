package signer_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cosproxy/signer"
)

// TestEscape_EveryByte checks the table of the document: every byte except letters, digits and
// -_.~ is escaped.
func TestEscape_EveryByte(t *testing.T) {
	t.Parallel()
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
	for b := range 256 {
		in := string([]byte{byte(b)})
		value, key := fmt.Sprintf("%%%02X", b), fmt.Sprintf("%%%02x", b)
		if strings.Contains(plain, in) {
			value, key = in, strings.ToLower(in)
		}
		if got := signer.EscapeValue("a" + in + "Z"); got != "a"+value+"Z" {
			t.Errorf("value %q became %q, want %q", in, got, value)
		}
		if got := signer.EscapeKey("a" + in + "Z"); got != "a"+key+"z" {
			t.Errorf("key %q became %q, want %q", in, got, key)
		}
	}
}

func TestQuery_Parameters(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, query, list, params string }{
		{"none", "", "", ""},
		{"without a value", "acl", "acl", "acl="},
		{"with an empty value", "acl=", "acl", "acl="},
		{"equals sign in the value", "a==b", "a", "a=%3Db"},
		{"empty key", "=v&%3D=w", ";%3d", "=v&%3d=w"},
		{"empty pieces", "&&a=1&&b=2&", "a;b", "a=1&b=2"},
		{"plus is a space", "a+b=c+d", "a%20b", "a%20b=c%20d"},
		{"escaped plus is a plus", "a%2Bb=c%2bd", "a%2bb", "a%2bb=c%2Bd"},
		{"raw semicolon is data", "a=1;b=2&c;d", "a;c%3bd", "a=1%3Bb%3D2&c%3bd="},
		{"raw bytes above ASCII", "a=\xff\xc3\xa4", "a", "a=%FF%C3%A4"},
		{"decoded once", "a=%252F", "a", "a=%252F"},
		{"repeated, by value", "a=2&b=0&a=1&a=10", "a;a;a;b", "a=1&a=10&a=2&b=0"},
		{"by decoded value", "a=%7B&a=b", "a;a", "a=b&a=%7B"},
		{"keys that collide in lower case", "a=2&A=3&a=1", "a;a;a", "a=1&a=2&a=3"},
		{"by encoded key", "a-b=1&a%2Fb=2", "a%2fb;a-b", "a%2fb=2&a-b=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := signer.Build("GET", "/", tt.query, nil, "key", "1;2")
			if err != nil {
				t.Fatal(err)
			}
			if got.ParamList != tt.list {
				t.Errorf("list %q, want %q", got.ParamList, tt.list)
			}
			if want := "get\n/\n" + tt.params + "\n\n"; got.HTTPString != want {
				t.Errorf("HttpString %q, want %q", got.HTTPString, want)
			}
		})
	}
}

func TestQuery_Invalid(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, shown string }{
		{"a=%", `"%"`},
		{"a=%4", `"%4"`},
		{"a=%zz", `"%zz"`},
		{"a=%4g&b=1", `"%4g"`},
		{"a=%g4", `"%g4"`},
		{"%=1", `"%"`},
		{"ok=1&b%2=2", `"%2"`},
		{"a b=1", "%20"},
		{"a=1\n", "%0A"},
		{"a=\x7f", "%7F"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			req := newRequest(t, http.MethodGet, "/obj", nil)
			req.URL.RawQuery = tt.query
			var s signer.Signer
			err := s.Sign(req, tempCreds, now)
			if !errors.Is(err, signer.ErrRequest) || !strings.Contains(err.Error(), tt.shown) {
				t.Errorf("error %v, want ErrRequest that shows %s", err, tt.shown)
			}
			assertUnsigned(t, req)
		})
	}
}
