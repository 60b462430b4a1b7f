package proxy_test

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

// FuzzForm sends arbitrary bytes as a form. Forwarded forms are signed with the stub's
// credentials only, have every field in their policy, an object key allowed on the
// route, and an unchanged file.
func FuzzForm(f *testing.F) {
	whole := field("key", "up/${filename}") + file("a b.txt", "content"+closing)
	for _, seed := range []string{
		whole, "\r\n" + whole, field("policy", "client") + field("Q-AK", "client") + field("X-Cos-Security-Token", "client") + whole,
		field("Key", "up/a") + whole, field("key", "up/../a") + file("f", closing), field("key", "${filename}") + file(`..\up\..`, closing),
		field("key", "up/a") + file("f", "x"+badTails["another field"]), field("key", "up/a") + file("f", "x"+badTails["closed twice"]),
		strings.ReplaceAll(whole, `"`, ""), strings.ReplaceAll(whole, "\r\n", "\n"), strings.Replace(whole, "filename=", "filename*=utf-8''", 1),
		field("key", "up/a\r\n--"+boundary+" \t") + whole, whole[:len(whole)-4],
	} {
		f.Add([]byte(seed), "")
	}
	f.Add([]byte(field("key", "up/a")+file("f", contents["large"]+closing)), "") // is not held in memory
	f.Add([]byte(field("key", "up/a")+file("f", contents["large"]+badTails["another field"])), "")
	f.Add([]byte(strings.ReplaceAll(whole, boundary, "b'=")), `multipart/form-data; boundary="b'="`)
	keys := newCredentials(1)
	m := startMemoryCOS(f, []proxy.Route{{
		Bucket: bucket, Region: region, Endpoint: plainCOS, AllowActions: []string{"*"}, AllowPrefixes: []string{"up/*"}, Credentials: keys,
	}})
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		if contentType == "" {
			contentType = "multipart/form-data; boundary=" + boundary
		}
		status, _, got := m.ask(t, fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			wireValue(contentType), len(body), body))
		if (status == http.StatusOK) != (got != nil) {
			t.Fatalf("%q: status %d, and COS got %v", body, status, got)
		}
		if got == nil {
			return
		}
		form, err := got.parseForm()
		if err == nil {
			err = form.check(keys.list, bucket, time.Now())
		}
		if err != nil {
			t.Fatalf("%q arrived as %q: %v", body, got.body, err)
		}
		key := form.values["key"]
		if !strings.HasPrefix(key, "up/") || !strings.HasPrefix(path.Clean(key)+"/", "up/") || strings.Contains(key, "${") {
			t.Errorf("%q arrived for the key %q", body, key)
		}
		if !bytes.HasSuffix(body, []byte("\r\n\r\n"+form.rawFileAndTail)) {
			t.Errorf("%q arrived with the file %q", body, form.rawFileAndTail)
		}
		if got.ContentLength != int64(len(got.body)) || got.wire()["Authorization"] != nil || !got.isForm() {
			t.Errorf("%d bytes with the head\n%s", len(got.body), got.head)
		}
	})
}
