package postpolicy_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/postpolicy"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func with(conditions string) string {
	return `{"expiration": "2030-01-02T03:04:06.000Z", "conditions": [` + conditions + `]}`
}

func TestParse_Invalid(t *testing.T) {
	const expiration, none = `"expiration": "2030-01-02T03:04:06Z"`, `"conditions": []`
	for _, text := range []string{
		``, `null`, `[]`, `"a"`, `{`, `{}`, `{` + expiration + `}`, `{` + none + `}`, `{` + expiration + `,` + none + `} {}`, `{` + expiration + `,` + none + `}x`,
		`{` + expiration + `,` + none + `,}`, `{` + expiration + `,` + none + `,` + none + `}`, `{` + expiration + `,` + expiration + `,` + none + `}`,
		`{` + expiration + `,` + none + `,"other": 1}`, `{"Expiration": "2030-01-02T03:04:06Z",` + none + `}`, `{` + expiration + `,"Conditions": []}`,
		`{"expiration": "tomorrow",` + none + `}`, `{"expiration": null,` + none + `}`, `{"expiration": 1,` + none + `}`, `{"expiration": "2030-01-02",` + none + `}`,
		`{` + expiration + `,"conditions": {}}`, `{` + expiration + `,"conditions": null}`, `{` + expiration + `,"conditions": "a"}`,
		with(`null`), with(`1`), with(`"a"`), with(`true`), with(`[]`), with(`{}`), with(`{"a": 1}`), with(`{"a": null}`), with(`{"a": ["b"]}`), with(`{"": "b"}`),
		with(`{"a": "b", "c": "d"}`), with(`{"a": "b", "a": "b"}`), with(`["eq", "$a"]`), with(`["eq", "$a", "b", "c"]`), with(`["eq", "a", "b"]`), with(`["eq", "$", "b"]`),
		with(`["eq", "$a", 1]`), with(`["eq", "$a", null]`), with(`["eq", null, "b"]`), with(`[null, "$a", "b"]`), with(`["EQ", "$a", "b"]`), with(`["ends-with", "$a", "b"]`),
		with(`["content-length-range", 1]`), with(`["content-length-range", 2, 1]`), with(`["content-length-range", -1, 1]`), with(`["content-length-range", 1, 1.5]`),
		with(`["content-length-range", 1, 1e3]`), with(`["content-length-range", 0, 9223372036854775808]`), with(`["content-length-range", null, 1]`), with(`["content-length-range", "", 1]`),
		with("{\"a\": \"\xff\"}"),
	} {
		_, err := postpolicy.Parse(encode(text))
		var e *coserr.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Code != "InvalidPolicyDocument" {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := postpolicy.Parse("{}"); err == nil {
		t.Error("a policy that is not base64 was accepted")
	}
}

// An error may go to a log, so it contains no value.
func TestErrors_WithoutSecrets(t *testing.T) {
	_, err := postpolicy.Parse(encode(with(`["eq", "x-amz-security-token", "sentinel"]`)))
	if err == nil || strings.Contains(err.Error(), "sentinel") {
		t.Error(err)
	}
	p, err := postpolicy.Parse(encode(with(`{"x-amz-security-token": "sentinel"}`)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check([]postpolicy.Field{{Name: "x-amz-security-token", Value: "sentinel2"}}, "b", now); err == nil || strings.Contains(err.Error(), "sentinel") {
		t.Error(err)
	}
}

func TestParse_Limits(t *testing.T) {
	for conditions, want := range map[string][2]int64{
		``: {0, math.MaxInt64}, `["content-length-range", 0, 0]`: {0, 0}, `["content-length-range", "1", " 2"]`: {-1, 0}, `["content-length-range", "1", "2"]`: {1, 2},
		`["content-length-range", 1, 5], ["content-length-range", 2, 6]`: {2, 5}, `["content-length-range", 0, 9223372036854775807]`: {0, math.MaxInt64},
	} {
		p, err := postpolicy.Parse(encode(with(conditions)))
		if want[0] < 0 {
			if err == nil {
				t.Errorf("%s was accepted", conditions)
			}
			continue
		}
		if err != nil || p.MinSize != want[0] || p.MaxSize != want[1] || p.Limits() != (want != [2]int64{0, math.MaxInt64}) {
			t.Errorf("%s: %+v (%v)", conditions, p, err)
		}
	}
}

func TestCheck(t *testing.T) {
	fields := func(pairs ...string) (all []postpolicy.Field) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, postpolicy.Field{Name: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	tests := []struct {
		name, conditions string
		fields           []postpolicy.Field
		says             string // empty: it passes
	}{
		{"nothing", ``, nil, ""},
		{"no condition needed", ``, fields("Policy", "", "X-Amz-Signature", "", "signature", "", "AWSAccessKeyId", "", "X-Ignore-a", ""), ""},
		{"equal", `{"A": "b"}`, fields("a", "b"), ""},
		{"equal in an array", `["eq", "$a", "b"]`, fields("A", "b"), ""},
		{"values have case", `{"a": "B"}`, fields("a", "b"), "eq $a"},
		{"longer", `{"a": "b"}`, fields("a", "bb"), "eq $a"},
		{"missing", `{"a": ""}`, nil, "eq $a"},
		{"prefix", `["starts-with", "$a", "b"]`, fields("a", "bb"), ""},
		{"any", `["starts-with", "$a", ""]`, fields("a", ""), ""},
		{"other prefix", `["starts-with", "$a", "b"]`, fields("a", "ab"), "starts-with $a"},
		{"missing with any value", `["starts-with", "$a", ""]`, nil, "starts-with $a"},
		{"all conditions count", `{"a": "b"}, {"a": "c"}`, fields("a", "b"), "eq $a"},
		{"without a condition", `{"a": "b"}`, fields("a", "b", "c", ""), "Extra input fields: c"},
		{"credential without a condition", ``, fields("x-amz-credential", ""), "Extra input fields: x-amz-credential"},
		{"bucket", `{"bucket": "b"}`, nil, ""},
		{"other bucket", `{"bucket": "c"}`, nil, "eq $bucket"},
		{"field bucket cannot help", `{"bucket": "c"}`, fields("bucket", "c"), "eq $bucket"},
		{"field bucket is other", `["starts-with", "$bucket", "b"]`, fields("bucket", "c"), "starts-with $bucket"},
		{"list of types", `["starts-with", "$Content-Type", "image/"]`, fields("content-type", "image/a,image/b"), ""},
		{"other type in a list", `["starts-with", "$content-type", "image/"]`, fields("Content-Type", "image/a,text/b"), "starts-with $content-type"},
		{"list of types, equal", `{"Content-Type": "a,b"}`, fields("Content-Type", "a,b"), ""},
		{"other lists", `["starts-with", "$a", "b"]`, fields("a", "b,c"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := postpolicy.Parse(encode(with(tt.conditions)))
			if err != nil {
				t.Fatal(err)
			}
			checkError(t, p.Check(tt.fields, "b", now), tt.says)
			checkError(t, p.Check(tt.fields, "b", now.Add(time.Second)), "expired")
		})
	}
}

// checkError checks that an error is a 403 that contains says, or nil if says is empty.
func checkError(t *testing.T, err error, says string) {
	t.Helper()
	var e *coserr.Error
	if (err == nil) != (says == "") || err != nil && (!errors.As(err, &e) || e.Status != 403 || e.Code != "AccessDenied" || !strings.Contains(e.Message, says)) {
		t.Errorf("got %v, want %q", err, says)
	}
}

// FuzzParse compares a policy with encoding/json: whatever is accepted has only conditions
// that are enforced.
func FuzzParse(f *testing.F) {
	for _, conditions := range []string{``, `{"a": "b"}`, `["eq", "$a", "b"]`, `["starts-with","$a",""],null`, `["content-length-range", 1, "2"]`, ` [ "eq" , "\u0024a" , "\ud800" ] `} {
		f.Add(with(conditions), "a", "b")
	}
	f.Add(`{"expiration": "2030-01-02T03:04:06Z", "conditions": [null], "conditions": []}`, "", "")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		p, err := postpolicy.Parse(encode(text))
		var doc struct {
			Expiration time.Time
			Conditions []json.RawMessage
		}
		if jsonErr := json.Unmarshal([]byte(text), &doc); err == nil && jsonErr != nil {
			t.Fatalf("%q was accepted: %v", text, jsonErr)
		}
		if err != nil {
			return
		}
		if !p.Expiration.Equal(doc.Expiration) || p.MinSize < 0 || p.MaxSize < 0 {
			t.Errorf("%q: %+v", text, p)
		}
		if p.Check([]postpolicy.Field{{Name: name, Value: value}}, "bucket", doc.Expiration.Add(-1)) == nil {
			for _, c := range doc.Conditions {
				if !meets(c, name, value) {
					t.Errorf("%q accepts the field %q = %q against %s", text, name, value, c)
				}
			}
			exempt := slices.Contains([]string{"policy", "x-amz-signature", "signature", "awsaccesskeyid"}, strings.ToLower(name)) || strings.HasPrefix(strings.ToLower(name), "x-ignore-")
			if len(doc.Conditions) == 0 && !exempt {
				t.Errorf("%q accepts the field %q without a condition", text, name)
			}
		}
		if err := p.Check(nil, "bucket", doc.Expiration); err == nil {
			t.Errorf("%q is valid after its expiration", text)
		}
	})
}

// meets reports whether a form with one field, sent to the bucket "bucket", meets a
// condition.
func meets(condition json.RawMessage, name, value string) bool {
	var list []any
	pair := map[string]string{}
	if json.Unmarshal(condition, &pair) == nil {
		for field, want := range pair {
			list = []any{"eq", "$" + field, want}
		}
	} else if json.Unmarshal(condition, &list) != nil || len(list) != 3 {
		return false
	}
	if list[0] == "content-length-range" {
		return true
	}
	field, want := strings.ToLower(strings.TrimPrefix(list[1].(string), "$")), list[2].(string)
	if field == "bucket" && !strings.EqualFold(name, "bucket") {
		value = "bucket"
	} else if strings.ToLower(name) != field {
		return false
	}
	return value == want || list[0] == "starts-with" && strings.HasPrefix(value, want)
}
