package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

// FuzzForm sends any bytes as a form. What passes is signed with the stub's key
// alone, every field held to its value, is for a key inside the route, and has the
// file's bytes as they were.
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
	f.Add([]byte(strings.ReplaceAll(whole, boundary, "b'=")), `multipart/form-data; boundary="b'="`)
	keys := newKeys(1)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		if contentType == "" {
			contentType = "multipart/form-data; boundary=" + boundary
		}
		cos := &formTaker{}
		p, err := proxy.New(proxy.Options{Transport: cos, Routes: []proxy.Route{{
			Bucket: bucket, Region: region, Actions: []string{"*"}, Prefixes: []string{"up/*"}, Credentials: keys,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "http://localhost/", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		p.ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != (cos.got != nil) {
			t.Fatalf("%q: status %d, and COS got %v", body, w.Code, cos.got)
		}
		if cos.got == nil {
			return
		}
		form, err := cos.got.parseForm()
		if err == nil {
			err = form.check(keys.row, bucket, time.Now())
		}
		if err != nil {
			t.Fatalf("%q arrived as %q: %v", body, cos.got.body, err)
		}
		key := form.values["key"]
		if !strings.HasPrefix(key, "up/") || !strings.HasPrefix(path.Clean(key)+"/", "up/") || strings.Contains(key, "${") {
			t.Errorf("%q arrived for the key %q", body, key)
		}
		if !bytes.HasSuffix(body, []byte("\r\n\r\n"+form.rawFileAndBehind)) {
			t.Errorf("%q arrived with the file %q", body, form.rawFileAndBehind)
		}
		if cos.got.ContentLength != int64(len(cos.got.body)) || cos.got.Header["Authorization"] != nil {
			t.Errorf("%d bytes with the headers %v", len(cos.got.body), cos.got.Header)
		}
	})
}

// formTaker is a COS that takes every form that comes whole. It is in memory, since
// fuzzing is slow where the same input takes another course each time.
type formTaker struct{ got *arrival }

func (f *formTaker) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost { // and no question in front of a large one
		body, err := io.ReadAll(io.LimitReader(r.Body, r.ContentLength))
		if err != nil {
			return nil, err
		}
		f.got = &arrival{Request: r, body: body}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"X-Cos-Request-Id": {"id"}}, Body: http.NoBody, Request: r,
	}, nil
}
