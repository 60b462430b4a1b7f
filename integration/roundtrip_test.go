package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// trickyKeys are names that proxies are known to change on the way.
var trickyKeys = []string{
	"plain.txt",
	"dir//file",
	"/leading",
	"a/./b",
	"a/../b",
	"..hidden",
	"trailing/",
	"literal%2Fescape",
	"percent%25",
	"%zz",
	"blank and+plus",
	"目录/文件 名(腾讯云).txt",
	"semi;colon&ampersand=equals?question#hash",
	"!$'()*,:@~_-.[]{}|^\"<>`\\end",
	"\u00e9\u0301 \U0001f680",
	strings.Repeat("k", 850),
}

// escapeAll percent-encodes every byte but the slash, so that no client or
// library on the way to the sidecar has anything to interpret.
func escapeAll(key string) string {
	var b strings.Builder
	for i := range len(key) {
		if key[i] == '/' {
			b.WriteByte('/')
		} else {
			fmt.Fprintf(&b, "%%%02X", key[i])
		}
	}
	return b.String()
}

// TestKeysSurvive uploads through the sidecar and reads back with the official
// SDK from the emulator itself.
func TestKeysSurvive(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	for _, key := range trickyKeys {
		name := key[:min(len(key), 40)]
		t.Run(name, func(t *testing.T) {
			body := []byte("body of " + key)
			target := s.url + "/" + escapeAll(key)
			if status, answer := do(t, http.MethodPut, target, bytes.NewReader(body)); status != http.StatusOK {
				t.Fatalf("PUT: %d %s", status, answer)
			}
			if got := readDirect(t, emu, key); !bytes.Equal(got, body) {
				t.Errorf("COS holds %q, want %q", got, body)
			}
			if status, got := do(t, http.MethodGet, target, nil); status != http.StatusOK || !bytes.Equal(got, body) {
				t.Errorf("GET through the sidecar: %d %q, want %q", status, got, body)
			}
		})
	}
}

func readDirect(t *testing.T, emu *cosemu.Server, key string) []byte {
	t.Helper()
	resp, err := sdkDirect(t, emu).Object.Get(context.Background(), key, nil)
	if err != nil {
		t.Fatalf("reading %q from COS: %v", key, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestCurl is the README's first example.
func TestCurl(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	dir := t.TempDir()
	file := filepath.Join(dir, "up")
	body := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // over curl's limit for Expect: 100-continue
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("curl", append([]string{"-sS", "--noproxy", "*", "--fail-with-body"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	curl("-T", file, s.url+"/from/curl.bin")
	down := filepath.Join(dir, "down")
	curl("-o", down, s.url+"/from/curl.bin")
	got, err := os.ReadFile(down)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, body) {
		t.Errorf("curl read back %d bytes that differ from the %d sent", len(got), len(body))
	}
	if list := curl(s.url + "/?prefix=from/"); !strings.Contains(list, "<Key>from/curl.bin</Key>") {
		t.Errorf("listing: %s", list)
	}
	if part := curl("-r", "16-31", s.url+"/from/curl.bin"); part != "0123456789abcdef" {
		t.Errorf("range: %q", part)
	}
	stdin := exec.Command("curl", "-sS", "--noproxy", "*", "--fail-with-body", "-T", "-", s.url+"/from/stdin")
	stdin.Stdin = strings.NewReader("of unknown length")
	if out, err := stdin.CombinedOutput(); err != nil {
		t.Fatalf("curl -T -: %v\n%s", err, out)
	}
	if got := readDirect(t, emu, "from/stdin"); string(got) != "of unknown length" {
		t.Errorf("chunked upload stored %q", got)
	}
}

// TestGoSDK runs the official SDK with its defaults (CRC check, high-level
// multipart upload) against the sidecar.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	client := sdkThrough(t, s)
	ctx := context.Background()

	t.Run("object", func(t *testing.T) {
		const key = "sdk/目录 a+b"
		put, err := client.Object.Put(ctx, key, strings.NewReader("hello"), &cos.ObjectPutOptions{
			ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{
				ContentType: "text/x-test",
				XCosMetaXXX: &http.Header{"X-Cos-Meta-Colour": {"blue"}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		head, err := client.Object.Head(ctx, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if head.Header.Get("x-cos-meta-colour") != "blue" || head.Header.Get("Content-Type") != "text/x-test" {
			t.Errorf("metadata lost: %v", head.Header)
		}
		_, err = client.Object.Get(ctx, key, &cos.ObjectGetOptions{
			XOptionHeader: &http.Header{"If-None-Match": {put.Header.Get("ETag")}},
		})
		if resp, ok := cos.IsCOSError(err); !ok || resp.Response.StatusCode != http.StatusNotModified {
			t.Errorf("conditional GET: %v, want 304", err)
		}
		if _, err := client.Object.Delete(ctx, key); err != nil {
			t.Error(err)
		}
		if _, err := client.Object.Head(ctx, key, nil); !cos.IsNotFoundError(err) {
			t.Errorf("after delete: %v, want 404", err)
		}
	})

	t.Run("multipart", func(t *testing.T) {
		body := bytes.Repeat([]byte("multipart!"), 350_000)
		file := filepath.Join(t.TempDir(), "large")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := client.Object.Upload(ctx, "sdk/large", file, &cos.MultiUploadOptions{PartSize: 1, ThreadPoolSize: 3})
		if err != nil {
			t.Fatal(err)
		}
		if got := readDirect(t, emu, "sdk/large"); !bytes.Equal(got, body) {
			t.Errorf("multipart upload stored %d other bytes, want %d", len(got), len(body))
		}
	})

	t.Run("list copy delete", func(t *testing.T) {
		for i := range 5 {
			if _, err := client.Object.Put(ctx, fmt.Sprintf("many/%d+ %d", i, i), strings.NewReader("x"), nil); err != nil {
				t.Fatal(err)
			}
		}
		source := bucket + ".cos." + region + ".myqcloud.com/many/0+ 0"
		if _, _, err := client.Object.Copy(ctx, "many/copy", source, nil); err != nil {
			t.Fatal(err)
		}
		var keys []cos.Object
		opt := &cos.BucketGetOptions{Prefix: "many/", MaxKeys: 2, EncodingType: "url"}
		for {
			page, _, err := client.Bucket.Get(ctx, opt)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				key, err := cos.DecodeURIComponent(o.Key)
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, cos.Object{Key: key})
			}
			if !page.IsTruncated {
				break
			}
			if opt.Marker, err = cos.DecodeURIComponent(page.NextMarker); err != nil {
				t.Fatal(err)
			}
		}
		if len(keys) != 6 {
			t.Fatalf("listed %v, want 6 keys", keys)
		}
		deleted, _, err := client.Object.DeleteMulti(ctx, &cos.ObjectDeleteMultiOptions{Objects: keys})
		if err != nil || len(deleted.DeletedObjects) != 6 {
			t.Errorf("delete multiple: %+v, %v", deleted, err)
		}
	})
}
