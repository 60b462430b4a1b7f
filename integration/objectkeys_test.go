package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// trickyKeys are object keys that other proxies change.
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

// escapeAll percent-encodes every byte except the slash, so that clients and libraries
// do not change the key.
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

// TestObjectKeys_RoundTrip uploads through the sidecar and reads the object with the
// official SDK from the emulator.
func TestObjectKeys_RoundTrip(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	for _, key := range trickyKeys {
		name := key[:min(len(key), 40)]
		t.Run(name, func(t *testing.T) {
			body := []byte("body of " + key)
			target := s.url + "/" + escapeAll(key)
			if status, response := do(t, http.MethodPut, target, bytes.NewReader(body)); status != http.StatusOK {
				t.Fatalf("PUT: %d %s", status, response)
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
