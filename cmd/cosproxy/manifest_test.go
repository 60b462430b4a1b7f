//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caarlos0/env/v11"
)

// manifestCases returns the environments in testdata/manifest by name. The first line of a
// file names the kinds of manifests that support it.
func manifestCases(t *testing.T) map[string]manifestCase {
	t.Helper()
	files, err := filepath.Glob("testdata/manifest/*.env")
	if err != nil || len(files) < 10 {
		t.Fatal(len(files), err)
	}
	cases := make(map[string]manifestCase)
	for _, file := range files {
		lines := strings.Split(strings.TrimSpace(readText(t, file)), "\n")
		name := strings.TrimSuffix(filepath.Base(file), ".env")
		cases[name] = manifestCase{kinds: strings.Fields(strings.TrimPrefix(lines[0], "#")), environ: lines[1:]}
	}
	return cases
}

type manifestCase struct{ kinds, environ []string }

// printManifest returns standard output and standard error of a successful manifest.
func printManifest(t *testing.T, environ []string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := tryManifest(environ, args...)
	if code != exitOK {
		t.Fatalf("%v: exit code %d\n%s", args, code, stderr)
	}
	return stdout, stderr
}

func tryManifest(environ []string, args ...string) (code int, stdout, stderr string) {
	var out, problems bytes.Buffer
	code = run(context.Background(), append([]string{"manifest"}, args...), environ, streams{out: &out, err: &problems})
	return code, out.String(), problems.String()
}

func TestManifest_Golden(t *testing.T) {
	for name, c := range manifestCases(t) {
		for _, kind := range c.kinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				args := []string{kind}
				if kind == "kubernetes" {
					args = append(args, "--network-policy")
				}
				stdout, stderr := printManifest(t, c.environ, args...)
				golden(t, filepath.Join("testdata/manifest", name+"."+kind+".golden"), stdout)
				if strings.Contains(stdout+stderr, "NEVER-SHOWN") {
					t.Errorf("a secret is printed:\n%s%s", stdout, stderr)
				}
			})
		}
	}
}

// TestManifest_PrintedSettings reads the settings of a printed pod as cosproxy does there:
// they are valid, and give the same routes.
func TestManifest_PrintedSettings(t *testing.T) {
	variable := regexp.MustCompile(`\{name: ([A-Z0-9_]+), value: (".*")\}`)
	for name, c := range manifestCases(t) {
		if !slices.Contains(c.kinds, "kubernetes") {
			continue
		}
		stdout, _ := printManifest(t, c.environ, "kubernetes")
		printed := map[string]string{}
		for _, m := range variable.FindAllStringSubmatch(stdout, -1) {
			value, err := strconv.Unquote(m[2])
			if err != nil {
				t.Fatal(name, err)
			}
			printed[m[1]] = strings.ReplaceAll(value, "$$", "$")
		}
		if name == "http" { // its value is in the Secret
			printed["COSPROXY_CREDENTIALS_URL"] = "https://credentials.internal/"
		}
		got, want := routesOf(t, printed), routesOf(t, env.ToMap(append(c.environ, "TKE_WEB_IDENTITY_TOKEN_FILE=/token")))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%v, want\n%v", name, got, want)
		}
	}
}

// routesOf returns the scope, source and duration of each route.
func routesOf(t *testing.T, vars map[string]string) (routes []string) {
	t.Helper()
	p := newProblems()
	c := parse(vars, p)
	validate(c, p)
	if err := p.err(); err != nil {
		t.Error(err)
	}
	for _, r := range c.routeConfigs {
		routes = append(routes, fmt.Sprint(r.name, r.scope(), r.Source, r.Duration))
	}
	return routes
}

// TestManifest_NoSecret sets every secret by value, alone and together with settings of
// its source. Not even a part of it is printed.
func TestManifest_NoSecret(t *testing.T) {
	const value = "TOP-SECRET-VALUE"
	tried := 0
	for _, s := range settings() {
		url := s.field == "CredentialsURL"
		if !isSecretField(s.field) && !url {
			continue
		}
		tried++
		for _, source := range []string{"auto", "static", "sts", "role", "http", "file", "cvm"} {
			environ := append(oneRoute(), "COSPROXY_SOURCE="+source, "TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY=key",
				"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/a", "COSPROXY_CREDENTIALS_URL=https://keys.example/", "COSPROXY_CREDENTIALS_FILE=/a/b")
			if text := s.variable + "=" + value; url {
				environ = append(environ, s.variable+"=https://keys.example/?token="+value)
			} else {
				environ = append(environ, text)
			}
			if source == "static" {
				environ = append(environ, "COSPROXY_ROLE_ARN=")
			}
			for kind := range manifestKinds {
				_, stdout, stderr := tryManifest(environ, kind)
				if strings.Contains(stdout+stderr, value) {
					t.Errorf("%s, source %s: %s is printed:\n%s%s", kind, source, s.variable, stdout, stderr)
				}
			}
		}
	}
	if tried < 5 {
		t.Errorf("only %d settings were tried", tried)
	}
}

// TestManifest_SecretReferred checks that a secret that a source uses is referred to by
// each kind, however it is set.
func TestManifest_SecretReferred(t *testing.T) {
	for variable, environ := range map[string][]string{
		"TENCENTCLOUD_SECRET_KEY":        {"TENCENTCLOUD_SECRET_ID=id"},
		"TENCENTCLOUD_TOKEN":             {"TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY=key"},
		"COSPROXY_CREDENTIALS_URL_TOKEN": {"COSPROXY_CREDENTIALS_URL=https://keys.example/"},
	} {
		for _, set := range []string{variable + "=value", variable + "_FILE=/a/file"} {
			for kind := range manifestKinds {
				stdout, _ := printManifest(t, append(append(oneRoute(), environ...), set), kind)
				contains(t, stdout, variable+"_FILE", secretName(variable))
			}
		}
	}
}

// TestManifest_UnusedSecrets checks that secrets of sources that no route uses are not
// required of the platform.
func TestManifest_UnusedSecrets(t *testing.T) {
	environ := append(oneRoute(), "COSPROXY_SOURCE=cvm", "TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY_FILE=/a",
		"TENCENTCLOUD_TOKEN_FILE=/b", "COSPROXY_CREDENTIALS_FILE=/c", "COSPROXY_CREDENTIALS_URL=https://keys.example/?a=b", "COSPROXY_CREDENTIALS_URL_TOKEN=d",
		"TKE_PROVIDER_ID=cls-a", "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/a")
	for kind := range manifestKinds {
		stdout, _ := printManifest(t, environ, kind)
		for _, unwanted := range []string{"TENCENTCLOUD_", "TKE_", "CREDENTIALS_FILE", "CREDENTIALS_URL", "Secret=", "secrets"} {
			if strings.Contains(strings.ReplaceAll(stdout, "no secret", ""), unwanted) {
				t.Errorf("%s has %s:\n%s", kind, unwanted, stdout)
			}
		}
	}
}

// TestManifest_ReadsNoFile sets every setting for a file to a pipe: reading it would fail or
// block.
func TestManifest_ReadsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for source, more := range map[string][]string{
		"role":   {"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/a", "TENCENTCLOUD_TOKEN_FILE="},
		"static": nil,
		"http":   {"COSPROXY_CREDENTIALS_URL=https://keys.example/"},
		"file":   nil,
		"oidc":   {"TKE_ROLE_ARN=qcs::cam::uin/1:roleName/a"},
	} {
		environ := append(oneRoute(), "COSPROXY_SOURCE="+source)
		for _, s := range settings() {
			if strings.HasSuffix(s.variable, "_FILE") {
				environ = append(environ, s.variable+"="+pipe)
			}
		}
		printManifest(t, append(environ, more...), "kubernetes")
	}
}

// TestManifest_Problems checks that each problem names the setting and what to do.
func TestManifest_Problems(t *testing.T) {
	pair := []string{"TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY=key"}
	for _, tt := range []struct {
		kind    string
		environ []string
		want    string
	}{
		{"kubernetes", []string{"COSPROXY_DRAIN_TIMEOUT=-1s"}, "COSPROXY_DRAIN_TIMEOUT is negative"},
		{"kubernetes", []string{"COSPROXY_DURATION=100h"}, "COSPROXY_DURATION is invalid"},
		{"kubernetes", []string{"COSPROXY_LISTEN=systemd"}, "COSPROXY_LISTEN is a socket from systemd"},
		{"kubernetes", []string{"COSPROXY_LISTEN=unix:///app.sock"}, "COSPROXY_LISTEN is in the root folder"},
		{"kubernetes", []string{"COSPROXY_LISTEN=unix:///a/app.sock", "COSPROXY_ADMIN_LISTEN=unix:///b/admin.sock"}, "COSPROXY_ADMIN_LISTEN is in /b, and another Unix socket in /a"},
		{"kubernetes", []string{"COSPROXY_LISTEN=unix:///a:b/app.sock"}, `COSPROXY_LISTEN is in "/a:b", and the path of a mount cannot have a colon`},
		{"kustomize", []string{"COSPROXY_ADMIN_LISTEN=unix:///a:b/admin.sock"}, `COSPROXY_ADMIN_LISTEN is in "/a:b", and`},
		{"compose", []string{"COSPROXY_LISTEN=unix:///a:b/app.sock"}, `COSPROXY_LISTEN is in "/a:b", and`},
		{"compose", []string{"COSPROXY_SOURCE=file", "COSPROXY_CREDENTIALS_FILE=/a:b/c"}, "COSPROXY_CREDENTIALS_FILE is in a folder with a colon"},
		{"quadlet", []string{"COSPROXY_SOURCE=file", "COSPROXY_CREDENTIALS_FILE=/a:b/c"}, "COSPROXY_CREDENTIALS_FILE is in a folder with a colon"},
		{"systemd", []string{"COSPROXY_LISTEN=unix:///run/a\nb"}, "COSPROXY_LISTEN contains a line break"},
		{"systemd", []string{"COSPROXY_LISTEN=systemd:a\\"}, "COSPROXY_LISTEN ends with a backslash"},
		{"systemd", []string{"COSPROXY_LISTEN=unix:///run/a", "COSPROXY_SOCKET_OWNER=a\\"}, "COSPROXY_SOCKET_OWNER ends with a backslash"},
		{"systemd", []string{"COSPROXY_LISTEN=127.0.0.1:0"}, "COSPROXY_LISTEN has port 0"},
		{"compose", []string{"COSPROXY_ADMIN_LISTEN=127.0.0.1:0"}, "COSPROXY_ADMIN_LISTEN has port 0"},
		{"kubernetes", []string{"COSPROXY_HEALTH_LISTEN=:0"}, "COSPROXY_HEALTH_LISTEN has port 0"},
		{"quadlet", []string{"COSPROXY_HEALTH_LISTEN=off", "COSPROXY_ADMIN_LISTEN=off"}, "COSPROXY_HEALTH_LISTEN and COSPROXY_ADMIN_LISTEN are both off"},
		{"compose", []string{"COSPROXY_SOCKET_OWNER=app"}, "COSPROXY_SOCKET_OWNER cannot be used in a container"},
		{"kubernetes", []string{"COSPROXY_SOURCE=oidc"}, "TKE_ROLE_ARN is required for source oidc"},
		{"kubernetes", []string{"COSPROXY_SOURCE=oidc", "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/a", "COSPROXY_ROLE_ARN=garbage"}, "COSPROXY_ROLE_ARN is invalid"},
		{"systemd", []string{"COSPROXY_SOURCE=oidc", "TKE_ROLE_ARN=a", "TKE_PROVIDER_ID=b", "TKE_WEB_IDENTITY_TOKEN_FILE=/c"}, "COSPROXY_SOURCE selects oidc, which needs the service account of a pod"},
		{"systemd", []string{"COSPROXY_ADMIN_LISTEN=unix:///run/admin.sock"}, "COSPROXY_ADMIN_LISTEN is in /run, which the unit cannot write to; use unix:///run/cosproxy/NAME"},
		{"systemd", []string{"COSPROXY_ADMIN_LISTEN=unix:///run/cosproxy/admin.sock", "COSPROXY_LISTEN=unix:///run/cosproxy/app.sock"}, "COSPROXY_ADMIN_LISTEN is in the folder of COSPROXY_LISTEN"},
		{"systemd", []string{"COSPROXY_ADMIN_LISTEN=systemd:admin"}, "COSPROXY_ADMIN_LISTEN is a socket from systemd"},
		{"systemd", []string{"COSPROXY_LISTEN=cosproxy.internal:4360", "COSPROXY_UNSAFE_LISTEN=true"}, "COSPROXY_LISTEN has the host name"},
		{"systemd", []string{"COSPROXY_SOURCE=file", "COSPROXY_CREDENTIALS_FILE=/home/me/a"}, "COSPROXY_CREDENTIALS_FILE is in /home/, which the unit hides"},
		{"compose", []string{"COSPROXY_SOURCE=file", "COSPROXY_CREDENTIALS_FILE=a"}, "COSPROXY_CREDENTIALS_FILE is not an absolute path"},
		{"quadlet", []string{"COSPROXY_LISTEN=unix:///a/app.sock"}, "COSPROXY_LISTEN is a Unix socket"},
		{"kubernetes", []string{"COSPROXY_ROLE_EXTERNAL_ID=a\nb"}, "COSPROXY_ROLE_EXTERNAL_ID contains a line break"},
		{"kubernetes", []string{"COSPROXY_LISTEN=unix:///a/b\u2028c"}, "COSPROXY_LISTEN contains a line break"},
		{"kubernetes", []string{"COSPROXY_ROLE_EXTERNAL_ID=a\xffb"}, "COSPROXY_ROLE_EXTERNAL_ID is not valid UTF-8"},
		{"kubernetes", []string{"TENCENTCLOUD_SECRET_KEY_FILE=/a"}, "TENCENTCLOUD_SECRET_KEY_FILE and TENCENTCLOUD_SECRET_KEY are both set"},
	} {
		code, stdout, stderr := tryManifest(append(append(oneRoute(), pair...), tt.environ...), tt.kind)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s %q: exit code %d, want problem %q; got:\n%s%s", tt.kind, tt.environ, code, tt.want, stdout, stderr)
		}
	}
}

func TestManifest_Warnings(t *testing.T) {
	const (
		everyone = "every local user can use the bucket; set COSPROXY_LISTEN=unix:///run/NAME.sock"
		instance = "COSPROXY_SOURCE=cvm: the application shares the network of the pod"
		restart  = "COSPROXY_QUIT_TOKEN_FILE: the platform restarts cosproxy after POST /quit"
	)
	for _, tt := range []struct {
		kind, environ, want, not string
	}{
		{"systemd", "", everyone, instance},
		{"systemd", "COSPROXY_LISTEN=systemd", everyone, instance},
		{"systemd", "COSPROXY_LISTEN=unix:///run/a.sock", "", everyone},
		{"systemd", "COSPROXY_CLIENT_TOKEN_FILE=/a", "", everyone},
		{"kubernetes", "", instance, everyone},
		{"kustomize", "COSPROXY_QUIT_TOKEN_FILE=/a", restart, everyone},
		{"compose", "COSPROXY_QUIT_TOKEN_FILE=/a", restart, everyone},
		{"quadlet", "COSPROXY_QUIT_TOKEN_FILE=/a", "", restart}, // it restarts after a failure only
	} {
		stdout, stderr := printManifest(t, append(oneRoute(), "COSPROXY_SOURCE=cvm", tt.environ), tt.kind)
		if !strings.Contains(stderr, tt.want) || strings.Contains(stderr, tt.not) {
			t.Errorf("%s %s: want %q, not %q; got:\n%s", tt.kind, tt.environ, tt.want, tt.not, stderr)
		}
		if commented := strings.Contains(stdout, "# Every local user can connect"); commented != (tt.want == everyone) {
			t.Errorf("%s %s: comment %v", tt.kind, tt.environ, commented)
		}
	}
}

func TestManifest_Arguments(t *testing.T) {
	environ := append(oneRoute(), "COSPROXY_SOURCE=cvm")
	for want, args := range map[string][]string{
		"name one kind of files":              {},
		"name one kind":                       {"helm"},
		"--name is not a name":                {"kubernetes", "--name", "Photo App"},
		"--image does not apply":              {"systemd", "--image", "a"},
		"--image is not the name of an image": {"compose", "--image", "a b"},
		"--image is not the name":             {"compose", "--image", "a@sha256:ab"},
		"--name cosproxy is the name":         {"compose", "--name", "cosproxy"},
		"--network-policy applies":            {"kustomize", "--network-policy"},
		"unexpected arguments":                {"kubernetes", "NEVER-SHOWN"},
	} {
		code, stdout, stderr := tryManifest(environ, args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) || strings.Contains(stderr, "NEVER-SHOWN") {
			t.Errorf("%q: exit code %d, want %q; got:\n%s%s", args, code, want, stdout, stderr)
		}
	}
	image := "registry.example:5000/cosproxy:1.2"
	stdout, _ := printManifest(t, environ, "kubernetes", "--name=photo-app", "--image", image)
	contains(t, stdout, `name: "photo-app"`, `image: "`+image+`"`, "with a digest")
	image += "@sha256:" + strings.Repeat("0a", 32)
	stdout, _ = printManifest(t, environ, "kubernetes", "--image", image)
	contains(t, stdout, `image: "`+image+`"`)
	if strings.Contains(stdout, "with a digest") || strings.Contains(stdout, "NetworkPolicy") {
		t.Error(stdout)
	}
	printManifest(t, environ, "systemd", "--name", "cosproxy")
}

func TestManifest_Output(t *testing.T) {
	environ := append(oneRoute(), "COSPROXY_SOURCE=cvm")
	for kind, want := range map[string][]string{
		"kubernetes": {"web-cosproxy.yaml"},
		"kustomize":  {"kustomization.yaml"},
		"systemd":    {"web-cosproxy.service", "web-cosproxy.socket"},
		"compose":    {"compose.yaml"},
		"quadlet":    {"web-cosproxy.container", "web.container", "web.pod"},
	} {
		dir := t.TempDir()
		stdout, _ := printManifest(t, environ, kind, "--name", "web", "--output", dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		info, err := os.Stat(filepath.Join(dir, want[0]))
		if err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", kind, info, err)
		}
		if !reflect.DeepEqual(got, want) || stdout != "" {
			t.Errorf("%s: files %v, want %v; printed %q", kind, got, want, stdout)
		}
		code, _, stderr := tryManifest(environ, kind, "--output", filepath.Join(dir, "missing"))
		if code != exitFailure || !strings.Contains(stderr, "no such file") {
			t.Errorf("%s: exit code %d, %s", kind, code, stderr)
		}
	}
}

// TestManifest_OutputFails: a file that cannot be replaced leaves no other file.
func TestManifest_OutputFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "compose.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := tryManifest(append(oneRoute(), "COSPROXY_SOURCE=cvm"), "compose", "--output", dir)
	entries, err := os.ReadDir(dir)
	if code != exitFailure || err != nil || len(entries) != 1 {
		t.Errorf("exit code %d, %v, %v, %s", code, entries, err, stderr)
	}
}

// TestManifestEgress_STS: the NetworkPolicy has the port of STS if the source calls STS.
func TestManifestEgress_STS(t *testing.T) {
	for source, want := range map[string][]int{"file": {443}, "http": {443, 8444}, "cvm": {443, 8443}, "role": {443, 8443}} {
		environ := append(oneRoute(), "COSPROXY_SOURCE="+source, "COSPROXY_STS_ENDPOINT=https://sts.internal:8443", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/a",
			"TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY=key", "COSPROXY_CREDENTIALS_FILE=/a/b", "COSPROXY_CREDENTIALS_URL=https://keys.internal:8444/")
		m, p := newManifest("kubernetes", manifestKinds["kubernetes"], manifestFlags{}, environ)
		if err := p.err(); err != nil || !slices.Equal(m.Ports, want) {
			t.Errorf("%s: ports %v, want %v; %v", source, m.Ports, want, err)
		}
	}
}

// TestManifest_Proxy: the proxy of this machine is not copied, and its password not shown.
func TestManifest_Proxy(t *testing.T) {
	stdout, stderr := printManifest(t, append(oneRoute(), "COSPROXY_SOURCE=cvm", "HTTPS_PROXY=http://user:NEVER-SHOWN@proxy:3128"), "kubernetes")
	contains(t, stderr, "HTTPS_PROXY is not copied")
	if strings.Contains(stdout+stderr, "NEVER-SHOWN") || strings.Contains(stdout, "PROXY=") {
		t.Error(stdout, stderr)
	}
}

// TestManifest_Figures: the comments on resources have the figures of BENCHMARKS.md.
func TestManifest_Figures(t *testing.T) {
	contains(t, readText(t, "../../integration/BENCHMARKS.md"), "| peak RSS, eight of 1 GiB at once, plain HTTP / TLS | 21 / 27 MiB |",
		"| small GET, 64 connections | 50 µs of CPU", "| small PUT, 64 connections | 56 µs of CPU")
	contains(t, readText(t, manual), "needs about 150 MiB of memory")
}

// TestManifest_Colon: only paths of mounts cannot have a colon.
func TestManifest_Colon(t *testing.T) {
	stdout, _ := printManifest(t, append(oneRoute(), "COSPROXY_SOURCE=cvm", "COSPROXY_LISTEN=unix:///run/a:b.sock"), "systemd")
	contains(t, stdout, "ListenStream=/run/a:b.sock\n")
	file := append(oneRoute(), "COSPROXY_SOURCE=file", "COSPROXY_CREDENTIALS_FILE=/a/b:c")
	stdout, _ = printManifest(t, file, "compose")
	contains(t, stdout, `source: "/a"`, `"/run/cosproxy-credentials/b:c"`)
	stdout, _ = printManifest(t, file, "quadlet")
	contains(t, stdout, "Volume=/a:/run/cosproxy-credentials:ro\n", `"COSPROXY_CREDENTIALS_FILE=/run/cosproxy-credentials/b:c"`)
}

// TestManifest_Dollar: a dollar sign is doubled where it would refer to a variable, and
// only there.
func TestManifest_Dollar(t *testing.T) {
	socket := append(oneRoute(), "COSPROXY_SOURCE=cvm", "COSPROXY_LISTEN=unix:///run/$(A)/app.sock")
	for kind, want := range map[string][]string{
		"kubernetes": {`value: "unix:///run/$$(A)/app.sock"`, `mountPath: "/run/$(A)"}`, `mountPath: "/run/$(A)", readOnly: true}`},
		"kustomize":  {`value: "unix:///run/$$(A)/app.sock"`, `mountPath: "/run/$(A)"}`},
		"compose":    {`"unix:///run/$$(A)/app.sock"`, `target: "/run/$$(A)"}`, `target: "/run/$$(A)", read_only: true}`},
	} {
		stdout, _ := printManifest(t, socket, kind)
		contains(t, stdout, want...)
	}
	stdout, _ := printManifest(t, append(oneRoute(), "COSPROXY_SOURCE=file", "COSPROXY_CREDENTIALS_FILE=/srv/${A}/$b"), "quadlet")
	contains(t, stdout, `Environment="COSPROXY_CREDENTIALS_FILE=/run/cosproxy-credentials/$$b"`, "Volume=/srv/$${A}:/run/cosproxy-credentials:ro\n")
}

// TestManifest_IssuerSettings: settings of cosproxy issuer are left out with a warning, even
// invalid ones, since the sidecar does not use them.
func TestManifest_IssuerSettings(t *testing.T) {
	for _, s := range issuerSettings() {
		if s.field == callersField {
			continue // the sidecar rejects it, see TestIssuerSettings
		}
		environ := append(oneRoute(), "COSPROXY_SOURCE=cvm", s.variable+"=https://user:NEVER-SHOWN@keys.example/?a=NEVER-SHOWN\u2028")
		for kind := range manifestKinds {
			stdout, stderr := printManifest(t, environ, kind)
			contains(t, stderr, s.variable+" is not copied: it is a setting of cosproxy issuer")
			if strings.Contains(stdout, "ISSUER") || strings.Contains(stdout+stderr, "NEVER-SHOWN") || strings.Count(stderr, s.variable) != 1 {
				t.Errorf("%s, %s: %s%s", kind, s.variable, stdout, stderr)
			}
		}
	}
}

// TestManifest_NoPasswordInURL: the password and the query of a URL are not printed, whether
// a route uses the setting or not.
func TestManifest_NoPasswordInURL(t *testing.T) {
	tried := 0
	for _, s := range settings() {
		if !strings.Contains(s.desc, "URL") || strings.HasSuffix(s.variable, "_FILE") {
			continue
		}
		tried++
		for _, source := range []string{"sts", "role", "oidc", "http", "file", "cvm", "auto"} {
			for _, secret := range []string{"user:NEVER-SHOWN@keys.example/", "keys.example/?token=NEVER-SHOWN"} {
				environ := append(oneRoute(), "TENCENTCLOUD_SECRET_ID=id", "TENCENTCLOUD_SECRET_KEY=key", "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/a",
					"COSPROXY_CREDENTIALS_URL=https://keys.example/", "COSPROXY_CREDENTIALS_FILE=/a/b", "COSPROXY_SOURCE="+source,
					s.variable+"=https://"+secret)
				if source == "role" {
					environ = append(environ, "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/a")
				}
				for kind := range manifestKinds {
					_, stdout, stderr := tryManifest(environ, kind)
					if text := stdout + stderr; strings.Contains(text, "NEVER-SHOWN") {
						t.Errorf("%s, source %s: %s is printed:\n%s", kind, source, s.variable, text)
					}
				}
			}
		}
	}
	if tried < 5 {
		t.Errorf("only %d settings were tried", tried)
	}
}

// TestSecretNames: no two files get the same name.
func TestSecretNames(t *testing.T) {
	seen := make(map[string]string)
	for _, s := range settings() {
		if !strings.HasSuffix(s.variable, "_FILE") {
			continue
		}
		name := secretName(s.variable)
		if seen[name] != "" {
			t.Errorf("%s and %s are both %s", s.variable, seen[name], name)
		}
		seen[name] = s.variable
	}
}

// TestReadme_Manifest: the command of the README prints the excerpt that follows it.
func TestReadme_Manifest(t *testing.T) {
	_, section, _ := strings.Cut(readText(t, readme), "\n## Kubernetes\n")
	_, shell, _ := strings.Cut(section, "```sh\n")
	shell, rest, _ := strings.Cut(shell, "```")
	_, excerpt, _ := strings.Cut(rest, "```yaml\n")
	excerpt, _, _ = strings.Cut(excerpt, "```")
	var environ, args []string
	for word := range strings.FieldsSeq(strings.ReplaceAll(shell, "'", "")) {
		switch {
		case word == ">":
			stdout, _ := printManifest(t, environ, args...)
			for line := range strings.Lines(excerpt) {
				line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), " #")
				contains(t, stdout, line+"\n")
			}
			return
		case strings.Contains(word, "="):
			environ = append(environ, word)
		case word != "export" && word != "cosproxy" && word != "manifest":
			args = append(args, word)
		}
	}
	t.Error("the README lacks the command")
}
