package signer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cosproxy/signer"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func fields(pairs ...string) []signer.Field {
	var all []signer.Field
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, signer.Field{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return all
}

func s3Head(pairs ...string) signer.S3Head {
	return signer.S3Head{
		Method: "GET", Path: "/obj", Region: "ap-guangzhou", PayloadHash: emptyHash,
		Fields: append(fields("Host", bucketHost), fields(pairs...)...),
	}
}

func TestS3_PublishedExamples(t *testing.T) {
	t.Parallel()
	var doc struct {
		SecretID  string    `json:"secret_id"`
		SecretKey string    `json:"secret_key"`
		Time      time.Time `json:"time"`
		Region    string    `json:"region"`
		Examples  []struct {
			Name, Method, Path, Query string
			Headers                   [][2]string
			PayloadHash               string `json:"payload_hash"`
			CanonicalRequest          string `json:"canonical_request"`
			StringToSign              string `json:"string_to_sign"`
			SignedHeaders             string `json:"signed_headers"`
			Signature                 string
		}
	}
	data, err := os.ReadFile("testdata/sigv4.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Examples) != 4 {
		t.Fatalf("%d examples, want 4", len(doc.Examples))
	}
	creds := signer.Credentials{SecretID: doc.SecretID, SecretKey: doc.SecretKey}
	var s signer.S3Signer
	for _, e := range doc.Examples {
		h := signer.S3Head{Method: e.Method, Path: e.Path, RawQuery: e.Query, Region: doc.Region, PayloadHash: e.PayloadHash}
		for _, pair := range e.Headers {
			h.Fields = append(h.Fields, fields(pair[:]...)...)
		}
		request, text, err := signer.S3Intermediate(h, creds, doc.Time)
		if err != nil || request != e.CanonicalRequest || text != e.StringToSign {
			t.Errorf("%s: %v\n got %q\nwant %q\n got %q\nwant %q", e.Name, err, request, e.CanonicalRequest, text, e.StringToSign)
		}
		got, _, err := s.AppendFields(nil, nil, h, creds, doc.Time)
		want := fields("X-Amz-Date", "20130524T000000Z", "X-Amz-Content-Sha256", e.PayloadHash,
			"Authorization", "AWS4-HMAC-SHA256 Credential="+doc.SecretID+"/20130524/us-east-1/s3/aws4_request, SignedHeaders="+
				e.SignedHeaders+", Signature="+e.Signature)
		if err != nil || !equalFields(got, want) {
			t.Errorf("%s: %v\n got %q\nwant %q", e.Name, err, got, want)
		}
	}
}

func equalFields(a, b []signer.Field) bool {
	return slices.EqualFunc(a, b, func(a, b signer.Field) bool {
		return string(a.Name) == string(b.Name) && string(a.Value) == string(b.Value)
	})
}

func TestS3_CanonicalRequest(t *testing.T) {
	t.Parallel()
	h := s3Head("x-amz-meta-b", "2", "X-AMZ-Meta-A", " a   b\t ", "x-amz-meta-B", "", "X-Amz-meta-b", "1  0",
		"Content-MD5", "mQ==", "content-type", "text/plain", "Content-Language", "en", "User-Agent", "curl", "Via", "1.1 a", "Expect", "100-continue")
	h.Path = "/a//./../%24"
	h.RawQuery = "b=%7e&a/=2&&a=%2b+&A=x;y&a=1&acl&a-b=%2f"
	got, _, err := signer.S3Intermediate(h, tempCreds, now)
	want := strings.Join([]string{
		"GET",
		"/a//./../%24",
		"A=x%3By&a=%2B%20&a=1&a%2F=2&a-b=%2F&acl=&b=~",
		"content-language:en",
		"content-md5:mQ==",
		"content-type:text/plain",
		"host:" + bucketHost,
		"x-amz-content-sha256:" + emptyHash,
		"x-amz-date:20300506T070809Z",
		"x-amz-meta-a:a b",
		"x-amz-meta-b:2,,1 0",
		"x-amz-security-token:" + tempCreds.Token,
		"",
		"content-language;content-md5;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-meta-b;x-amz-security-token",
		emptyHash,
	}, "\n")
	// "%" sorts before "-" and after the end of a name: "a", "a%2F", "a-b".
	if err != nil || got != want {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
}

func TestS3AppendFields_Memory(t *testing.T) {
	t.Parallel()
	h := s3Head()
	var s signer.S3Signer
	got, memory, err := s.AppendFields(h.Fields, []byte("before"), h, tempCreds, now)
	want := append(fields("Host", bucketHost), sdkFields(t, h, tempCreds, now)...)
	if err != nil || !equalFields(got, want) || !strings.HasPrefix(string(memory), "before2030") {
		t.Errorf("%v\n got %q\nwant %q\n%q", err, got, want, memory)
	}
	// The next signature reuses the memory.
	reused, again, err := s.AppendFields(nil, memory[:len("before")], h, tempCreds, now)
	if err != nil || &reused[0].Value[0] != &got[1].Value[0] || &again[0] != &memory[0] {
		t.Errorf("%v: the values are not in the memory that was returned", err)
	}
	got[1].Value = append(got[1].Value, '!') // must not reach the next value
	if !equalFields(got[2:], want[2:]) {
		t.Errorf("appending to a value changed the next: %q", got)
	}
}

func TestS3AppendFields_Errors(t *testing.T) {
	t.Parallel()
	expired := tempCreds
	expired.Expires = now
	change := func(edit func(h *signer.S3Head)) signer.S3Head {
		h := s3Head()
		edit(&h)
		return h
	}
	query := func(q string) signer.S3Head { return change(func(h *signer.S3Head) { h.RawQuery = q }) }
	for _, tt := range []struct {
		name  string
		head  signer.S3Head
		creds signer.Credentials
		want  error
	}{
		{"no credentials", s3Head(), signer.Credentials{}, signer.ErrMissingSecretID},
		{"no secret", s3Head(), signer.Credentials{SecretID: "a"}, signer.ErrMissingSecretKey},
		{"expired", s3Head(), expired, signer.ErrExpired},
		{"no region", change(func(h *signer.S3Head) { h.Region = "" }), tempCreds, signer.ErrRequest},
		{"no hash", change(func(h *signer.S3Head) { h.PayloadHash = "" }), tempCreds, signer.ErrRequest},
		{"an upper-case hash", change(func(h *signer.S3Head) { h.PayloadHash = strings.ToUpper(emptyHash) }), tempCreds, signer.ErrRequest},
		{"a signed stream", change(func(h *signer.S3Head) { h.PayloadHash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" }), tempCreds, signer.ErrRequest},
		{"a hash with a line feed", change(func(h *signer.S3Head) { h.PayloadHash = "\n" + emptyHash[1:] }), tempCreds, signer.ErrRequest},
		{"no path", change(func(h *signer.S3Head) { h.Path = "" }), tempCreds, signer.ErrRequest},
		{"a raw $ in the path", change(func(h *signer.S3Head) { h.Path = "/a$" }), tempCreds, signer.ErrRequest},
		{"no Host", change(func(h *signer.S3Head) { h.Fields = nil }), tempCreds, signer.ErrRequest},
		{"two Hosts", s3Head("HOST", bucketHost), tempCreds, signer.ErrRequest},
		{"Authorization", s3Head("authorization", "x"), tempCreds, signer.ErrRequest},
		{"a date", s3Head("X-Amz-DATE", "x"), tempCreds, signer.ErrRequest},
		{"a token", s3Head("x-amz-security-token", "x"), tempCreds, signer.ErrRequest},
		{"a hash field", s3Head("x-amz-content-sha256", "x"), tempCreds, signer.ErrRequest},
		{"a token of COS", s3Head("X-Cos-Security-Token", "x"), tempCreds, signer.ErrRequest},
		{"an invalid query", query("a=%zz"), tempCreds, signer.ErrRequest},
		{"a blank in the query", query("a b"), tempCreds, signer.ErrRequest},
		{"a presigned query", query("a=b&X-Amz-Signature=c"), tempCreds, signer.ErrRequest},
		{"an escaped presigned query", query("x%2Damz-token=1&x%2damz%2Dexpires=c"), tempCreds, signer.ErrRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s signer.S3Signer
			got, memory, err := s.AppendFields(fields("a", "b"), []byte("before"), tt.head, tt.creds, now)
			if !errors.Is(err, tt.want) || !equalFields(got, fields("a", "b")) || string(memory) != "before" {
				t.Errorf("got %q, %q, %v; want %v", got, memory, err, tt.want)
			}
			if text := fmt.Sprint(err); strings.Contains(text, tempCreds.SecretKey) || strings.Contains(text, tempCreds.Token) {
				t.Errorf("the error has a secret: %s", text)
			}
		})
	}
}

func TestS3Keys_Cache(t *testing.T) {
	t.Parallel()
	minute := time.Date(2030, 5, 6, 23, 58, 0, 0, time.UTC)
	var s signer.S3Signer
	sign := func(id, secret, region string, at time.Time) {
		t.Helper()
		h, creds := s3Head(), signer.Credentials{SecretID: id, SecretKey: secret}
		h.Region = region
		got, _, err := s.AppendFields(nil, nil, h, creds, at)
		if want := sdkFields(t, h, creds, at); err != nil || !equalFields(got, want) {
			t.Errorf("%v\n got %q\nwant %q", err, got, want)
		}
	}
	holds := func(step string, want int) {
		t.Helper()
		if got := s.CachedS3Keys(); got != want {
			t.Errorf("%s: %d signing keys, want %d", step, got, want)
		}
	}
	holds("unused", 0)
	sign("a", "key a", "r", minute)
	sign("a", "key a", "r", minute.Add(59*time.Second))
	holds("one key, one minute", 1)
	sign("b", "key b", "r", minute)
	sign("a", "key a", "r", minute)
	holds("two keys by turns", 2)
	sign("a", "another secret", "r", minute)
	holds("one id, two secrets", 3)
	sign("a", "key a", "q", minute)
	holds("another region", 4)
	sign("a", "key a", "r", minute.Add(time.Minute))
	holds("the next minute", 1)
	sign("a", "key a", "r", minute.Add(2*time.Minute))
	holds("the next day", 1)
	sign("a", "key a", "r", minute.In(time.FixedZone("", 9*3600)))
	holds("another zone and a clock set back", 1)
	for i := range 3 * signer.MaxSignKeys {
		sign(fmt.Sprint(i), "key", "r", minute)
		if n := s.CachedS3Keys(); n > signer.MaxSignKeys {
			t.Fatalf("%d signing keys, more than the limit %d", n, signer.MaxSignKeys)
		}
	}
}

// TestS3AppendFields_Concurrent rotates credentials while several goroutines sign.
func TestS3AppendFields_Concurrent(t *testing.T) {
	t.Parallel()
	var s signer.S3Signer
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				h, at := s3Head("x-amz-meta-a", fmt.Sprint(g)), now.Add(time.Duration(i/10)*time.Minute)
				creds := signer.Credentials{SecretID: fmt.Sprint("id", i%3), SecretKey: fmt.Sprint("key", i%3), Token: fmt.Sprint("token", g)}
				got, _, err := s.AppendFields(nil, nil, h, creds, at)
				if want := sdkFields(t, h, creds, at); err != nil || !equalFields(got, want) {
					t.Errorf("%v\n got %q\nwant %q", err, got, want)
				}
			}
		})
	}
	wg.Wait()
}
