//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed nginx.conf.tmpl
var nginxConfig string

//go:embed cossign.lua
var luaSigner []byte

var nginxTemplate = template.Must(template.New("nginx.conf").Parse(nginxConfig))

// nginxData is the data of the configuration template.
type nginxData struct {
	Dir, Listen, Upstream, Scheme, Host, CA string
	Root                                    bool     // the master runs as root
	Lua                                     bool     // sign
	Modules                                 []string // files to load
	SecretID, SecretKey, Token              string   // with Lua
}

func newNginx(ctx context.Context, b *testbed, s *settings) (peer, error) {
	binary, err := findNginx(s.nginx)
	if err != nil {
		return peer{}, err
	}
	return nginxPeer(ctx, b, nameNginx, binary, nginxData{})
}

// newNginxLua returns an nginx that signs in Lua. It needs lua-nginx-module, built in
// or as a module file.
func newNginxLua(ctx context.Context, b *testbed, s *settings) (peer, error) {
	binary, err := findNginx(s.nginx)
	if err != nil {
		return peer{}, err
	}
	modules, err := installedLuaModules(ctx, binary)
	if err != nil {
		return peer{}, err
	}
	return nginxPeer(ctx, b, nameLua, binary, nginxData{Lua: true, Modules: modules, SecretID: secretID, SecretKey: secretKey, Token: sessionToken})
}

// nginxPeer tests the configuration, to detect modules that do not load.
func nginxPeer(ctx context.Context, b *testbed, name, binary string, d nginxData) (peer, error) {
	p := peer{name: name, signs: d.Lua, binary: binary}
	p.command = func(ctx context.Context, b *testbed, t transport, addr string) (*exec.Cmd, error) {
		file, err := d.write(b, name, t, addr)
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, binary, "-c", file, "-p", b.dir), nil
	}
	cmd, err := p.command(ctx, b, plain, "127.0.0.1:9")
	if err != nil {
		return peer{}, err
	}
	cmd.Args = append(cmd.Args, "-t")
	if out, err := cmd.CombinedOutput(); err != nil {
		return peer{}, fmt.Errorf("its configuration does not load: %s", bytes.TrimSpace(out))
	}
	return p, nil
}

// write writes the configuration and the signer, and returns the file.
func (d nginxData) write(b *testbed, name string, t transport, addr string) (string, error) {
	d.Dir, d.Listen, d.Upstream, d.Host, d.CA = b.dir, addr, b.upstream[t], bucketHost, b.cert
	d.Scheme, _, _ = strings.Cut(b.url(t), ":")
	d.Root = os.Geteuid() == 0
	var text bytes.Buffer
	if err := nginxTemplate.Execute(&text, d); err != nil {
		return "", err
	}
	file := filepath.Join(b.dir, name+".conf")
	return file, errors.Join(
		os.WriteFile(file, text.Bytes(), 0o600),
		os.WriteFile(filepath.Join(b.dir, "cossign.lua"), luaSigner, 0o600),
	)
}

// findNginx searches PATH and /usr/sbin, which is often not in the PATH of users.
func findNginx(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || strings.Contains(name, "/") {
		return path, err
	}
	if found, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return found, nil
	}
	return "", err
}

func installedLuaModules(ctx context.Context, nginx string) ([]string, error) {
	out, err := exec.CommandContext(ctx, nginx, "-V").CombinedOutput()
	if err != nil {
		return nil, err
	}
	return luaModules(string(out), func(file string) bool {
		_, err := os.Stat(file)
		return err == nil
	})
}

var modulesPath = regexp.MustCompile(`--modules-path=(\S+)`)

// luaModules returns the module files for Lua, from the output of nginx -V: none if
// Lua is built in, as in OpenResty.
func luaModules(version string, exists func(file string) bool) ([]string, error) {
	if regexp.MustCompile(`--add-module=\S*(ngx_lua|lua-nginx-module)`).MatchString(version) {
		return nil, nil
	}
	dir := "/usr/lib/nginx/modules"
	if found := modulesPath.FindStringSubmatch(version); found != nil {
		dir = found[1]
	}
	lua := filepath.Join(dir, "ngx_http_lua_module.so")
	if !exists(lua) {
		return nil, errors.New("the Lua module of nginx is not installed (Debian: libnginx-mod-http-lua)")
	}
	if kit := filepath.Join(dir, "ndk_http_module.so"); exists(kit) { // required by Lua unless built in
		return []string{kit, lua}, nil
	}
	return []string{lua}, nil
}
