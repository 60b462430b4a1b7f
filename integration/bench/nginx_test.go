//go:build linux

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

func TestLuaModules(t *testing.T) {
	for _, tt := range []struct {
		name, version string
		files, want   []string
		fails         bool
	}{
		{name: "module files", version: "configure arguments: --modules-path=/m --with-compat", files: []string{"/m/ngx_http_lua_module.so", "/m/ndk_http_module.so"},
			want: []string{"/m/ndk_http_module.so", "/m/ngx_http_lua_module.so"}},
		{name: "kit built in", version: "--modules-path=/m", files: []string{"/m/ngx_http_lua_module.so"}, want: []string{"/m/ngx_http_lua_module.so"}},
		{name: "default path", version: "nginx", files: []string{"/usr/lib/nginx/modules/ngx_http_lua_module.so"}, want: []string{"/usr/lib/nginx/modules/ngx_http_lua_module.so"}},
		{name: "OpenResty", version: "--add-module=../ngx_lua-0.10.26 --with-stream"},
		{name: "none", version: "--modules-path=/m", fails: true},
	} {
		got, err := luaModules(tt.version, func(file string) bool { return slices.Contains(tt.files, file) })
		if !slices.Equal(got, tt.want) || (err != nil) != tt.fails {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

// TestLuaSigner checks the signatures of nginx with the emulator: COS would reject a
// peer that signs wrongly. It needs nginx and its Lua module, which make test does not
// install.
func TestLuaSigner(t *testing.T) {
	binary, err := findNginx("nginx")
	if err != nil {
		t.Skip(err)
	}
	modules, err := installedLuaModules(t.Context(), binary)
	if err != nil {
		t.Skip(err)
	}
	emu, err := cosemu.Start(cosemu.Options{StrictSignature: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = emu.Close() })
	d := credentials(t, emu)
	d.Lua, d.Modules = true, modules
	b := &testbed{dir: t.TempDir(), upstream: map[transport]string{plain: emu.COSAddr()}}
	b.cert = filepath.Join(b.dir, "cert.pem")
	if err := writeCertificate(b.cert, filepath.Join(b.dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	p, err := nginxPeer(t.Context(), b, nameLua, binary, d)
	if err != nil {
		t.Fatal(err)
	}
	p.signs = false // the path of that check is the upstream's
	proc, err := p.launch(t.Context(), b, plain)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.stop()
	if err := proc.awaitListener(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, target := range []string{"/bench/1024", "/bench/1024?response-content-type=text%2Fplain", "/bench/a~b%20c"} {
		if status, body := exchange(t, client, http.MethodPut, proc.addr, strings.TrimSuffix(target, "?response-content-type=text%2Fplain"), "content"); status != http.StatusOK {
			t.Errorf("PUT %s: %d %s", target, status, body)
		}
		if status, body := exchange(t, client, http.MethodGet, proc.addr, target, ""); status != http.StatusOK || body != "content" {
			t.Errorf("GET %s: %d %s", target, status, body)
		}
	}
}

// credentials gets temporary credentials from the emulator.
func credentials(t *testing.T, emu *cosemu.Server) nginxData {
	t.Helper()
	query := url.Values{"bucket": {bucket}, "region": {region}, "prefix": {"bench/*"}, "action": {"name/cos:PutObject", "name/cos:GetObject"}}
	resp, err := http.Get(emu.CredentialsServerURL() + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var response struct {
		Credentials struct{ TmpSecretID, TmpSecretKey, SessionToken string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&response); err != nil {
		t.Fatal(err)
	}
	return nginxData{SecretID: response.Credentials.TmpSecretID, SecretKey: response.Credentials.TmpSecretKey, Token: response.Credentials.SessionToken}
}

func exchange(t *testing.T, client *http.Client, method, addr, target, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("x-cos-meta-owner", "team a")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}
