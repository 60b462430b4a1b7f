package cosemu_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// pattern returns n bytes in which every shift or swap of blocks shows.
func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestObject_RoundTrip(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, issue(t, srv, policyOf([]string{"*"}, []string{"*"})))
	// Sizes around the limit of bodies in memory and around one chunk.
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 256 << 10, 256<<10 + 1, 3<<20 + 7} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, chunked %t", size, chunked), func(t *testing.T) {
				body := pattern(size)
				var reader io.Reader = bytes.NewReader(body)
				if chunked {
					reader = iotest.OneByteReader(struct{ io.Reader }{bytes.NewReader(body[:min(size, 100)])})
					reader = io.MultiReader(reader, bytes.NewReader(body[min(size, 100):]))
				}
				resp, err := c.Object.Put(t.Context(), "o", reader, &cos.ObjectPutOptions{
					ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: "text/x", XCosMetaXXX: &http.Header{"X-Cos-Meta-A": {"1"}}},
				})
				if err != nil {
					t.Fatal(err)
				}
				sum := md5.Sum(body)
				crc := strconv.FormatUint(crc64.Checksum(body, crc64.MakeTable(crc64.ECMA)), 10)
				for _, h := range []http.Header{resp.Header, headOf(t, c, "o")} {
					if got, want := h.Get("ETag"), `"`+hex.EncodeToString(sum[:])+`"`; got != want {
						t.Errorf("ETag %s, want %s", got, want)
					}
					if got := h.Get("x-cos-hash-crc64ecma"); got != crc {
						t.Errorf("crc %s, want %s", got, crc)
					}
				}
				got, getResp := get(t, c, "o", nil)
				if got != string(body) {
					t.Errorf("read back %d other bytes", len(got))
				}
				if h := getResp.Header; h.Get("Content-Type") != "text/x" || h.Get("x-cos-meta-a") != "1" {
					t.Errorf("headers %v", h)
				}
			})
		}
	}
}

func headOf(t *testing.T, c *cos.Client, key string) http.Header {
	t.Helper()
	resp, err := c.Object.Head(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header
}

// TestObject_UnusualKeys uploads with the SDK's encoding of the key and with full
// percent-encoding, and checks the raw requests.
func TestObject_UnusualKeys(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	client := httpClient(t, srv)
	keys := []string{
		"a", "dir//file", "./a", "a/./b", "a/../b", "folder/", "/lead", "a b+c.txt", "a%2Fb", "100%25.txt",
		"目录/文件 名(腾讯云).txt", "😀/é", `q?x#y&z=1;2,@:$[]^` + "`{|}\\<>", "it's (a) *star* \"q\"!.txt",
		"A-b_c.d~e", strings.Repeat("k", 850), strings.Repeat("中", 283),
	}
	for _, key := range keys {
		t.Run(key[:min(len(key), 30)], func(t *testing.T) {
			put(t, c, key, "by the SDK")
			if _, ok := srv.Object(bucket1, key); !ok {
				t.Fatal("the SDK's object has another key")
			}
			if got, _ := get(t, c, key, nil); got != "by the SDK" {
				t.Errorf("got %q", got)
			}
			var escaped strings.Builder
			for _, b := range []byte(key) {
				fmt.Fprintf(&escaped, "%%%02x", b)
			}
			r := request(t, longLived(srv), http.MethodPut, "/"+escaped.String(), strings.NewReader("escaped"))
			if a := do(t, client, r); a.status != http.StatusOK {
				t.Fatalf("%d\n%s", a.status, a.body)
			}
			if o, ok := srv.Object(bucket1, key); !ok || o.Size != int64(len("escaped")) {
				t.Errorf("not overwritten: %+v", o)
			}
		})
	}
	_, err := c.Object.Put(t.Context(), strings.Repeat("k", 851), strings.NewReader(""), nil)
	wantCOS(t, err, http.StatusBadRequest, "KeyTooLong")
}

// TestObject_KeyCleansToRoot covers the keys that ObjectKeySimplifyCheck of the SDKs
// rejects.
func TestObject_KeyCleansToRoot(t *testing.T) {
	srv := start(t, cosemu.Options{})
	for _, target := range []string{"/.", "/..", "//", "/a/..", "/%2F", "/a%2F%2E%2E"} {
		text := "GET " + target + " HTTP/1.1\r\nHost: " + host1 + "\r\nAuthorization: " +
			request(t, longLived(srv), http.MethodGet, target, nil).Header.Get("Authorization") + "\r\n\r\n"
		if a := raw(t, srv.COSAddr(), text); a.status != http.StatusOK || !strings.Contains(a.body, "<ListBucketResult>") {
			t.Errorf("%s: %d\n%s", target, a.status, a.body)
		}
	}
}

func TestObject_HeaderCase(t *testing.T) {
	srv := start(t, cosemu.Options{})
	r := request(t, longLived(srv), http.MethodPut, "/a", strings.NewReader("x"), "X-Cos-Meta-Who: me", "X-Cos-Storage-Class: STANDARD_IA", "X-Cos-Acl: public-read")
	do(t, httpClient(t, srv), r)
	auth := request(t, longLived(srv), http.MethodGet, "/a", nil).Header.Get("Authorization")
	conn, err := net.Dial("tcp", srv.COSAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /a HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: %s\r\n\r\n", host1, auth)
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\r\nETag: \"", "\r\nx-cos-request-id: ", "\r\nx-cos-hash-crc64ecma: ", "\r\nx-cos-meta-who: me\r\n", "\r\nx-cos-storage-class: STANDARD_IA\r\n", "\r\nServer: tencent-cos\r\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "x-cos-acl") {
		t.Error("COS does not give x-cos-acl back")
	}
	o, _ := srv.Object(bucket1, "a")
	want := http.Header{"x-cos-acl": {"public-read"}, "x-cos-meta-who": {"me"}, "x-cos-storage-class": {"STANDARD_IA"}}
	if !maps.EqualFunc(o.Header, want, slices.Equal) {
		t.Errorf("kept %v, want %v", o.Header, want)
	}
}

func TestDelete_Idempotent(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "o", "x")
	for range 2 {
		if resp, err := c.Object.Delete(t.Context(), "o"); err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%v %v", resp, err)
		}
	}
	_, err := c.Object.Get(t.Context(), "o", nil)
	wantCOS(t, err, http.StatusNotFound, "NoSuchKey")
	if resp, err := c.Object.Head(t.Context(), "o", nil); err == nil || resp.Header.Get("x-cos-trace-id") == "" || resp.Header.Get("x-cos-request-id") == "" {
		t.Errorf("HEAD of nothing: %v", err)
	}
}

func TestRequest_NotImplemented(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	for target, want := range map[string]string{
		"PUT /?cors": "NotImplemented", "GET /?lifecycle": "NotImplemented", "DELETE /": "NotImplemented",
		"GET /o?retention": "NotImplemented", "PUT /?versioning": "NotImplemented", "PUT /?acl": "NotImplemented",
		"PUT /o?legal-hold": "NotImplemented", "GET /o?cors": "NotImplemented", "GET /?live": "NotImplemented",
		"POST /o": "MethodNotAllowed", "PATCH /o": "MethodNotAllowed",
	} {
		method, target, _ := strings.Cut(target, " ")
		a := do(t, client, request(t, longLived(srv), method, target, nil))
		if a.code() != want {
			t.Errorf("%s %s: %d %s, want %s", method, target, a.status, a.code(), want)
		}
	}
}

func TestACL_Get(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	_, err := c.Object.Put(t.Context(), "o", strings.NewReader(""), &cos.ObjectPutOptions{ACLHeaderOptions: &cos.ACLHeaderOptions{XCosACL: "public-read"}})
	if err != nil {
		t.Fatal(err)
	}
	acl, _, err := c.Object.GetACL(t.Context(), "o")
	if err != nil || len(acl.AccessControlList) != 2 || acl.AccessControlList[1].Permission != "READ" {
		t.Errorf("%+v, %v", acl, err)
	}
	bucketACL, _, err := c.Bucket.GetACL(t.Context())
	if err != nil || bucketACL.Owner.ID != "1250000000" || len(bucketACL.AccessControlList) != 1 {
		t.Errorf("%+v, %v", bucketACL, err)
	}
	_, _, err = c.Object.GetACL(t.Context(), "none")
	wantCOS(t, err, http.StatusNotFound, "NoSuchKey")
}
