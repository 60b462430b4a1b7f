package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The secrets of all tests. No output may hold them.
const (
	testKey   = "SECRETKEY-NEVER-SHOWN"
	testToken = "TOKEN-NEVER-SHOWN"
)

// settingsFor is the smallest environment that works, with changes: a later
// entry for a name wins, as in a real environment read by env.ToMap.
func settingsFor(changes ...string) []string {
	return append([]string{
		"COSPROXY_BUCKET=examplebucket-1250000000",
		"COSPROXY_REGION=ap-guangzhou",
		"COSPROXY_ALLOW_PREFIXES=uploads/*",
		"COSPROXY_ALLOW_ACTIONS=read,upload",
		"COSPROXY_SPLAY=0s",
		"TENCENTCLOUD_SECRET_ID=AKIDexample",
		"TENCENTCLOUD_SECRET_KEY=" + testKey,
	}, changes...)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// manyPrefixes make a policy that is longer than CAM takes.
func manyPrefixes() string {
	var all []string
	for i := range 200 {
		all = append(all, fmt.Sprintf("a-rather-long-prefix-of-tenant-%d/*", 1000+i))
	}
	return strings.Join(all, ",")
}

// wantProblems wants one line of err to begin with each of want, and no secret.
func wantProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got\n%s\nwant lines that begin with\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	noSecrets(t, strings.Join(got, "\n"))
}

func TestMistakes(t *testing.T) {
	secretFile, emptyFile, noFile := file(t, testKey+"\n"), file(t, " \n"), filepath.Join(t.TempDir(), "none")
	tests := []struct {
		name    string
		changes []string
		want    []string // what each line of the error begins with
	}{
		{"none", nil, nil},
		{"bucket without APPID", []string{"COSPROXY_BUCKET=examplebucket"}, []string{`COSPROXY_BUCKET is wrong: "examplebucket" is not a bucket name with its APPID`}},
		{"bucket empty", []string{"COSPROXY_BUCKET="}, []string{"COSPROXY_BUCKET is required: write for example examplebucket-1250000000"}},
		{"region", []string{"COSPROXY_REGION=Guangzhou"}, []string{"COSPROXY_REGION is wrong"}},
		{"prefixes empty", []string{"COSPROXY_ALLOW_PREFIXES="}, []string{"COSPROXY_ALLOW_PREFIXES is required: write for example uploads/*"}},
		{"prefixes of commas", []string{"COSPROXY_ALLOW_PREFIXES= , "}, []string{"COSPROXY_ALLOW_PREFIXES cannot be read: the list is empty; write for example uploads/*"}},
		{"two bad prefixes", []string{"COSPROXY_ALLOW_PREFIXES=/a/*,b/"}, []string{`COSPROXY_ALLOW_PREFIXES is wrong: "/a/*" begins with a slash`, `COSPROXY_ALLOW_PREFIXES is wrong: "b/" means that one key`}},
		{"action", []string{"COSPROXY_ALLOW_ACTIONS=read,GetObject"}, []string{`COSPROXY_ALLOW_ACTIONS is wrong: unknown action "GetObject"; write name/cos:GetObject`}},
		{"duration without unit", []string{"COSPROXY_DURATION=1800"}, []string{"COSPROXY_DURATION cannot be read"}},
		{"duration too long", []string{"COSPROXY_DURATION=37h"}, []string{"COSPROXY_DURATION is wrong: 37h0m0s is not a life that STS grants"}},
		{"STS endpoint", []string{"COSPROXY_STS_ENDPOINT=sts.tencentcloudapi.com"}, []string{"COSPROXY_STS_ENDPOINT is wrong: not a URL"}},
		{"endpoint", []string{"COSPROXY_ENDPOINT={bucket}.cos.{region}.myqcloud.com"}, []string{"COSPROXY_ENDPOINT is wrong"}},
		{"endpoint scheme", []string{"COSPROXY_ENDPOINT=ftp://{bucket}"}, []string{"COSPROXY_ENDPOINT is wrong"}},
		{"connect to", []string{"COSPROXY_CONNECT_TO=10.0.0.5"}, []string{`COSPROXY_CONNECT_TO is wrong: "10.0.0.5" is not host:port`}},
		{"connect to a port by name", []string{"COSPROXY_CONNECT_TO=cos:https"}, []string{`COSPROXY_CONNECT_TO is wrong: "cos:https" has no port`}},
		{"source unknown", []string{"COSPROXY_SOURCE=vault"}, []string{`COSPROXY_SOURCE is "vault": write auto, static, sts, role, oidc, cvm, http or file`}},
		{"no source", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"COSPROXY_SOURCE is auto, and no source is configured: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY for STS; or COSPROXY_CREDENTIALS_FILE"}},
		{"half a pair", []string{"TENCENTCLOUD_SECRET_KEY="}, []string{"TENCENTCLOUD_SECRET_KEY is required for source sts: write it, or name a file that holds it in TENCENTCLOUD_SECRET_KEY_FILE"}},
		{"role without all", []string{"COSPROXY_SOURCE=role", "TENCENTCLOUD_SECRET_ID="}, []string{"TENCENTCLOUD_SECRET_ID is required for source role", "COSPROXY_ROLE_ARN is required for source role: write for example qcs::cam::uin/"}},
		{"role by auto without a pair", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"TENCENTCLOUD_SECRET_ID is required for source role", "TENCENTCLOUD_SECRET_KEY is required for source role"}},
		{"role ARN", []string{"COSPROXY_ROLE_ARN=cosproxy"}, []string{"COSPROXY_ROLE_ARN is wrong"}},
		{"role session", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_ROLE_SESSION_NAME=a b"}, []string{"COSPROXY_ROLE_SESSION_NAME is wrong"}},
		{"role for too long", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_DURATION=13h"}, []string{"COSPROXY_DURATION is wrong"}},
		{"token for role", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "TENCENTCLOUD_TOKEN=" + testToken}, []string{"TENCENTCLOUD_TOKEN does not go with COSPROXY_SOURCE=role"}},
		{"oidc without all", []string{"COSPROXY_SOURCE=oidc"}, []string{"TKE_PROVIDER_ID is required for source oidc: write for example cls-", "TKE_WEB_IDENTITY_TOKEN_FILE is required", "TKE_ROLE_ARN is required"}},
		{"oidc by auto without all", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY=", "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/r"}, []string{"TKE_PROVIDER_ID is required", "TKE_WEB_IDENTITY_TOKEN_FILE is required"}},
		{"oidc for too long", append(oidc(t), "COSPROXY_DURATION=13h"), []string{"COSPROXY_DURATION is wrong"}},
		{"oidc role ARN", append(oidc(t), "TKE_ROLE_ARN=cosproxy"), []string{"TKE_ROLE_ARN is wrong"}},
		{"metadata URL", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_CVM_METADATA_ENDPOINT=169.254.0.23"}, []string{"COSPROXY_CVM_METADATA_ENDPOINT is wrong"}},
		{"no key server", []string{"COSPROXY_SOURCE=http"}, []string{"COSPROXY_CREDENTIALS_URL is required for source http"}},
		{"key server in the clear", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=http://keys.internal/"}, []string{"COSPROXY_CREDENTIALS_URL is wrong: plain http"}},
		{"key server with two tokens", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=https://keys.internal", "COSPROXY_CREDENTIALS_URL_TOKEN=" + testToken, "COSPROXY_CREDENTIALS_URL_TOKEN_FILE=/f"}, []string{"COSPROXY_CREDENTIALS_URL_TOKEN_FILE is wrong"}},
		{"key server", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=keys.internal"}, []string{"COSPROXY_CREDENTIALS_URL is wrong"}},
		{"no key file", []string{"COSPROXY_SOURCE=file"}, []string{"COSPROXY_CREDENTIALS_FILE is required for source file"}},
		{"key prefix with a slash", []string{"COSPROXY_OBJECT_PREFIX=/a/"}, []string{"COSPROXY_OBJECT_PREFIX begins with a slash, which object keys do not: write a/"}},
		{"key prefix outside", []string{"COSPROXY_OBJECT_PREFIX=photos/"}, []string{"COSPROXY_ALLOW_PREFIXES has no key that begins with photos/, which COSPROXY_OBJECT_PREFIX puts before every key: write for example photos/*"}},
		{"path prefix", []string{"COSPROXY_PATH_PREFIX=photos"}, []string{`COSPROXY_PATH_PREFIX is wrong: path prefix "photos" must begin and end with a slash`}},
		{"hosts empty", []string{"COSPROXY_HOSTS=,"}, []string{"COSPROXY_HOSTS cannot be read: the list is empty; write for example photos.internal"}},
		{"no pair", []string{"COSPROXY_SOURCE=sts", "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"TENCENTCLOUD_SECRET_ID is required for source sts", "TENCENTCLOUD_SECRET_KEY is required for source sts"}},
		{"no pair for static", []string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_SECRET_ID="}, []string{"TENCENTCLOUD_SECRET_ID is required"}},
		{"token for STS", []string{"COSPROXY_SOURCE=sts", "TENCENTCLOUD_TOKEN=" + testToken}, []string{"TENCENTCLOUD_TOKEN does not go with COSPROXY_SOURCE=sts"}},
		{"blank in the pair", []string{"TENCENTCLOUD_SECRET_KEY=" + testKey + " " + testKey}, []string{"TENCENTCLOUD_SECRET_KEY is wrong"}},
		{"secret twice", []string{"TENCENTCLOUD_SECRET_KEY_FILE=" + secretFile}, []string{"TENCENTCLOUD_SECRET_KEY_FILE is set as well as TENCENTCLOUD_SECRET_KEY"}},
		{"secret file missing", []string{"TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE=" + noFile}, []string{"TENCENTCLOUD_SECRET_KEY_FILE names a file that cannot be read: no such file or directory; name a file that"}},
		{"secret file empty", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE=" + emptyFile}, []string{"TENCENTCLOUD_SECRET_ID_FILE names an empty file"}},
		{"token file missing", []string{"TENCENTCLOUD_TOKEN_FILE=" + noFile}, []string{"TENCENTCLOUD_TOKEN_FILE names a file that cannot be read: no such file"}},
		{"CA file missing", []string{"COSPROXY_CA_FILE=" + noFile}, []string{"COSPROXY_CA_FILE names a file that cannot be read: no such file"}},
		{"CA file without PEM", []string{"COSPROXY_CA_FILE=" + secretFile}, []string{"COSPROXY_CA_FILE names " + secretFile + ", which holds no certificate"}},
		{"listen off", []string{"COSPROXY_LISTEN=off"}, []string{"COSPROXY_LISTEN cannot be off"}},
		{"listen without port", []string{"COSPROXY_LISTEN=127.0.0.1"}, []string{`COSPROXY_LISTEN cannot be read: "127.0.0.1" is not host:port; write for example 127.0.0.1:4360`}},
		{"listen on a port too high", []string{"COSPROXY_LISTEN=127.0.0.1:70000"}, []string{"COSPROXY_LISTEN cannot be read"}},
		{"listen on a relative socket", []string{"COSPROXY_LISTEN=unix://run/cosproxy.sock"}, []string{"COSPROXY_LISTEN cannot be read: the socket's path in \"unix://run/cosproxy.sock\" is not absolute"}},
		{"listen on all interfaces", []string{"COSPROXY_LISTEN=:4360"}, []string{"COSPROXY_LISTEN is :4360, which other machines can reach"}},
		{"listen on a name", []string{"COSPROXY_LISTEN=example.com:4360"}, []string{"COSPROXY_LISTEN is example.com:4360, which other machines can reach"}},
		{"admin on all interfaces", []string{"COSPROXY_ADMIN_LISTEN=[::]:4361"}, []string{"COSPROXY_ADMIN_LISTEN is [::]:4361, which other machines can reach"}},
		{"systemd without a name", []string{"COSPROXY_LISTEN=systemd:"}, []string{"COSPROXY_LISTEN cannot be read"}},
		{"systemd for both", []string{"COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=systemd"}, []string{"COSPROXY_ADMIN_LISTEN and COSPROXY_LISTEN are two sockets of systemd"}},
		{"socket mode", []string{"COSPROXY_SOCKET_MODE=rw"}, []string{`COSPROXY_SOCKET_MODE cannot be read: "rw" is not three octal digits; write for example 0660`}},
		{"socket mode beyond", []string{"COSPROXY_SOCKET_MODE=1777"}, []string{"COSPROXY_SOCKET_MODE cannot be read"}},
		{"socket owner unknown", []string{"COSPROXY_SOCKET_OWNER=no-such-user"}, []string{`COSPROXY_SOCKET_OWNER cannot be read: there is no user "no-such-user" on this machine; write for example app:www-data`}},
		{"socket group unknown", []string{"COSPROXY_SOCKET_OWNER=0:no-such-group"}, []string{`COSPROXY_SOCKET_OWNER cannot be read: there is no group "no-such-group"`}},
		{"socket owner of nothing", []string{"COSPROXY_SOCKET_OWNER=:"}, []string{"COSPROXY_SOCKET_OWNER cannot be read"}},
		{"token file missing for clients", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + noFile}, []string{"COSPROXY_CLIENT_TOKEN_FILE cannot be used: no such file or directory; name a file with the token"}},
		{"token file empty for clients", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + emptyFile}, []string{"COSPROXY_CLIENT_TOKEN_FILE cannot be used: " + emptyFile + " is empty"}},
		{"token wrapped for clients", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken+"\n"+testToken)}, []string{"COSPROXY_CLIENT_TOKEN_FILE cannot be used"}},
		{"certificate without key", []string{"COSPROXY_TLS_CERT_FILE=/c"}, []string{"COSPROXY_TLS_KEY_FILE is required with COSPROXY_TLS_CERT_FILE"}},
		{"key without certificate", []string{"COSPROXY_TLS_KEY_FILE=/k"}, []string{"COSPROXY_TLS_CERT_FILE is required with COSPROXY_TLS_KEY_FILE"}},
		{"certificate that is none", []string{"COSPROXY_TLS_CERT_FILE=" + secretFile, "COSPROXY_TLS_KEY_FILE=" + secretFile}, []string{"COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE cannot be used: tls: failed to find any PEM data"}},
		{"key of another certificate", []string{"COSPROXY_TLS_CERT_FILE=" + newPair(t, "a").cert, "COSPROXY_TLS_KEY_FILE=" + newPair(t, "b").key}, []string{"COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE cannot be used: tls: private key does not match"}},
		{"one address for both", []string{"COSPROXY_ADMIN_LISTEN=127.0.0.1:4360"}, []string{"COSPROXY_ADMIN_LISTEN is the same address as COSPROXY_LISTEN"}},
		{"unsafe is no bool", []string{"COSPROXY_UNSAFE_LISTEN=yes"}, []string{"COSPROXY_UNSAFE_LISTEN cannot be read"}},
		{"origins that are none", []string{"COSPROXY_ALLOWED_ORIGINS=app.example,null,https://a.example/path"}, []string{
			`COSPROXY_ALLOWED_ORIGINS is wrong: "app.example" is no origin`, `COSPROXY_ALLOWED_ORIGINS is wrong: "null" is no origin`, `COSPROXY_ALLOWED_ORIGINS is wrong: "https://a.example/path" is no origin`}},
		{"hosts of commas", []string{"COSPROXY_ALLOWED_HOSTS=,"}, []string{"COSPROXY_ALLOWED_HOSTS cannot be read"}},
		{"hosts with more than a name", []string{"COSPROXY_ALLOWED_HOSTS=*,http://foo/,a:80"}, []string{
			`COSPROXY_ALLOWED_HOSTS is wrong: "*" is no host name`, `COSPROXY_ALLOWED_HOSTS is wrong: "http://foo/" is no host name`, `COSPROXY_ALLOWED_HOSTS is wrong: "a:80" has a port`}},
		{"hosts that are no names", []string{"COSPROXY_ALLOWED_HOSTS=a b,a/b,[::1]:80,-a,cös"}, []string{
			`COSPROXY_ALLOWED_HOSTS is wrong: "a b" is no host name or address; write`, `COSPROXY_ALLOWED_HOSTS is wrong: "a/b" is no`, `COSPROXY_ALLOWED_HOSTS is wrong: "[::1]:80" has a port`,
			`COSPROXY_ALLOWED_HOSTS is wrong: "-a" is no`, `COSPROXY_ALLOWED_HOSTS is wrong: "cös" is no`}},
		{"hosts that are names or addresses", []string{"COSPROXY_ALLOWED_HOSTS=a,A_b.c-d.internal,10.0.0.5,::1,[fd00::5]"}, nil},
		{"hosts of the route", []string{"COSPROXY_HOSTS=*.internal"}, []string{`COSPROXY_HOSTS is wrong: "*.internal" is no host name`}},
		{"connect to no host", []string{"COSPROXY_CONNECT_TO=:443"}, []string{`COSPROXY_CONNECT_TO is wrong: ":443" has no host; write for example 10.0.0.5:443`}},
		{"connect to empty brackets", []string{"COSPROXY_CONNECT_TO=[]:443"}, []string{`COSPROXY_CONNECT_TO is wrong: "[]:443" has no host`}},
		{"endpoint port", []string{"COSPROXY_ENDPOINT=https://x:99999"}, []string{`COSPROXY_ENDPOINT is wrong: proxy: the port of endpoint "https://x:99999" is not between 1 and 65535; write for example https://`}},
		{"endpoint with a password", []string{"COSPROXY_ENDPOINT=https://user:p%ss" + testKey + "@x"}, []string{"COSPROXY_ENDPOINT is wrong: proxy: the endpoint must not contain a user"}},
		{"wrapped token", []string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_TOKEN=" + testToken + "\n" + testToken}, []string{"TENCENTCLOUD_TOKEN is wrong: there is a blank, a line break or"}},
		{"wrapped token in a file", []string{"TENCENTCLOUD_TOKEN_FILE=" + file(t, testToken+"\r\n"+testToken)}, []string{"TENCENTCLOUD_TOKEN_FILE is wrong: there is a blank, a line break or"}},
		{"wrapped pair in files", []string{
			"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE=" + file(t, "AKID\nexample"),
			"TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE=" + file(t, testKey+"\n"+testKey)}, []string{
			"TENCENTCLOUD_SECRET_ID_FILE is wrong", "TENCENTCLOUD_SECRET_KEY_FILE is wrong"}},
		{"pair with other characters", []string{"TENCENTCLOUD_SECRET_ID=AKID\x7fexample", "TENCENTCLOUD_SECRET_KEY=“" + testKey + "”"}, []string{
			"TENCENTCLOUD_SECRET_ID is wrong", "TENCENTCLOUD_SECRET_KEY is wrong: there is a blank, a line break or a character beyond ASCII"}},
		{"SecretId with &", []string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_SECRET_ID=AKIDexample&q-ak"}, []string{"TENCENTCLOUD_SECRET_ID is wrong: no SecretId has & ; or = in it; write it alone"}},
		{"SecretId with ;", []string{"TENCENTCLOUD_SECRET_ID=AKIDexample;"}, []string{"TENCENTCLOUD_SECRET_ID is wrong: no SecretId has"}},
		{"SecretId with =", []string{"TENCENTCLOUD_SECRET_ID=id=AKIDexample"}, []string{"TENCENTCLOUD_SECRET_ID is wrong: no SecretId has"}},
		{"proxy that is none", []string{"HTTPS_PROXY=http://", "http_proxy=http://a b"}, []string{"http_proxy is no URL", "HTTPS_PROXY is no URL"}},
		{"proxy with a password", []string{"https_proxy=http://user:" + testKey + "@:port", "HTTP_PROXY=user:%" + testKey + "@proxy"}, []string{
			"HTTP_PROXY is no URL of a proxy: write for example http://proxy.internal:3128", "https_proxy is no URL"}},
		{"proxies", []string{"HTTPS_PROXY=http://proxy:3128", "HTTP_PROXY=proxy:3128"}, nil},
		{"policy too long", []string{"COSPROXY_ALLOW_PREFIXES=" + manyPrefixes()}, []string{"COSPROXY_ALLOW_PREFIXES is wrong: the 200 prefixes and"}},
		{"long list for a key without policy", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_ALLOW_PREFIXES=" + manyPrefixes()}, nil},
		{"negative splay", []string{"COSPROXY_SPLAY=-1s"}, []string{"COSPROXY_SPLAY is negative"}},
		{"two sockets of systemd, one without a name", []string{"COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=systemd:admin"}, []string{
			"COSPROXY_ADMIN_LISTEN and COSPROXY_LISTEN are two sockets of systemd"}},
		{"no requests", []string{"COSPROXY_MAX_REQUESTS=0"}, []string{"COSPROXY_MAX_REQUESTS has to be more than zero"}},
		{"negative queue", []string{"COSPROXY_MAX_QUEUED=-1"}, []string{"COSPROXY_MAX_QUEUED is negative"}},
		{"no time to stall", []string{"COSPROXY_STALL_TIMEOUT=0s"}, []string{"COSPROXY_STALL_TIMEOUT has to be more than zero: write for example 1m"}},
		{"size without a number", []string{"COSPROXY_MAX_BODY_BYTES=large"}, []string{`COSPROXY_MAX_BODY_BYTES cannot be read: "large" is no size; write for example 100MiB`}},
		{"size with an unknown unit", []string{"COSPROXY_MAX_BODY_BYTES=1MB"}, []string{"COSPROXY_MAX_BODY_BYTES cannot be read"}},
		{"size that overflows", []string{"COSPROXY_MAX_BODY_BYTES=8589934592GiB"}, []string{"COSPROXY_MAX_BODY_BYTES cannot be read"}},
		{"headers too large to hold", []string{"COSPROXY_MAX_HEADER_BYTES=2MiB"}, []string{"COSPROXY_MAX_HEADER_BYTES is more than 1MiB"}},
		{"size of nothing", []string{"COSPROXY_MAX_HEADER_BYTES=0"}, []string{"COSPROXY_MAX_HEADER_BYTES cannot be read"}},
		{"negative drain", []string{"COSPROXY_DRAIN_TIMEOUT=-1s"}, []string{"COSPROXY_DRAIN_TIMEOUT is negative"}},
		{"log format", []string{"COSPROXY_LOG_FORMAT=xml"}, []string{`COSPROXY_LOG_FORMAT is "xml": write text or json`}},
		{"log level", []string{"COSPROXY_LOG_LEVEL=loud"}, []string{"COSPROXY_LOG_LEVEL cannot be read"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(settingsFor(tt.changes...))
			wantProblems(t, err, tt.want)
		})
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    []string
	}{
		{"none", nil, nil},
		{"every key", []string{"COSPROXY_ALLOW_PREFIXES=a/*,*"}, []string{"COSPROXY_ALLOW_PREFIXES has *: applications can touch every object in the bucket"}},
		{"every action", []string{"COSPROXY_ALLOW_ACTIONS=*"}, []string{"COSPROXY_ALLOW_ACTIONS has *"}},
		{"every action by name", []string{"COSPROXY_ALLOW_ACTIONS=name/cos:*"}, []string{"COSPROXY_ALLOW_ACTIONS has *"}},
		{"the list of buckets", []string{"COSPROXY_ALLOW_ACTIONS=read,name/cos:GetService"}, []string{"COSPROXY_ALLOW_ACTIONS has name/cos:GetService"}},
		{"long-lived key", []string{"COSPROXY_SOURCE=static"}, []string{"COSPROXY_SOURCE=static without TENCENTCLOUD_TOKEN"}},
		{"sources that are not used", []string{"COSPROXY_CREDENTIALS_URL=https://keys.internal/", "COSPROXY_CREDENTIALS_FILE=/key"}, []string{"COSPROXY_SOURCE is auto and takes sts; configured and not used: file, http"}},
		{"STS in the clear", []string{"COSPROXY_STS_ENDPOINT=http://sts.example"}, []string{"COSPROXY_STS_ENDPOINT is plain http"}},
		{"STS in the clear, not used", []string{"COSPROXY_STS_ENDPOINT=http://sts.example", "COSPROXY_SOURCE=cvm"}, []string{"COSPROXY_SOURCE=cvm: the key of an instance can do all that its role may; only cosproxy is sure to hold"}},
		{"key server", []string{"COSPROXY_CREDENTIALS_URL=https://keys.example", "COSPROXY_SOURCE=http"}, []string{"COSPROXY_SOURCE=http: the key server is told the scope and decides"}},
		{"web identity", oidc(t), []string{"COSPROXY_SOURCE=oidc: a key for a web identity can"}},
		{"given key", []string{"TENCENTCLOUD_TOKEN=" + testToken}, []string{"COSPROXY_SOURCE=static: a given key can"}},
		{"STS on this machine", []string{"COSPROXY_STS_ENDPOINT=http://127.0.0.1"}, nil},
		{"other machines", []string{"COSPROXY_LISTEN=:4360", "COSPROXY_ADMIN_LISTEN=10.0.0.5:4361", "COSPROXY_UNSAFE_LISTEN=true"}, []string{
			"COSPROXY_LISTEN=:4360 can be reached from other machines: whoever reaches it needs no key (set COSPROXY_CLIENT_TOKEN_FILE), and whoever can listen on the way reads all that passes (set COSPROXY_TLS_CERT_FILE and",
			"COSPROXY_ADMIN_LISTEN=10.0.0.5:4361 can be reached from other machines"}},
		{"other machines, with a token", []string{"COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true", "COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken)}, []string{
			"COSPROXY_LISTEN=:4360 can be reached from other machines: whoever can listen on the way"}},
		{"other machines, with TLS", append(newPair(t, "a").settings(), "COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true"), []string{
			"COSPROXY_LISTEN=:4360 can be reached from other machines: whoever reaches it needs no key (set COSPROXY_CLIENT_TOKEN_FILE)"}},
		{"other machines, with both", append(newPair(t, "a").settings(), "COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true", "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken)), nil},
		{"other names", []string{"COSPROXY_ALLOWED_HOSTS=cosproxy.internal"}, []string{"COSPROXY_ALLOWED_HOSTS: browsers do not say"}},
		{"other names, with a token", []string{"COSPROXY_ALLOWED_HOSTS=cosproxy.internal", "COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken)}, nil},
		{"COS in the clear", []string{"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com"}, []string{"COSPROXY_ENDPOINT is plain http: whoever can listen on the way reads objects and session tokens"}},
		{"COS on this machine", []string{"COSPROXY_ENDPOINT=http://localhost:9000"}, nil},
		{"COS behind a tunnel on this machine", []string{"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO=[::1]:9000"}, nil},
		{"COS behind another machine", []string{"COSPROXY_ENDPOINT=http://localhost", "COSPROXY_CONNECT_TO=10.0.0.5:80"}, []string{"COSPROXY_ENDPOINT is plain http"}},
		{"a short token", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, "fifteen-letters\n")}, []string{"COSPROXY_CLIENT_TOKEN_FILE holds a token of 15 bytes, which can be guessed: write at least 16 random"}},
		{"a token just long enough", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, "sixteen-letters-\n")}, nil},
		{"slips", []string{"COSPROXY_ALLOW_PREFIX=a", "COSPROXY_LOGLEVEL=info", "COSPROXY_LISTEN_ADDRESS=x"}, []string{
			"COSPROXY_ALLOW_PREFIX is no setting of cosproxy; the nearest is COSPROXY_ALLOW_PREFIXES",
			"COSPROXY_LISTEN_ADDRESS is no setting of cosproxy; the nearest is COSPROXY_LISTEN",
			"COSPROXY_LOGLEVEL is no setting of cosproxy; the nearest is COSPROXY_LOG_LEVEL"}},
		{"a Kubernetes Service", []string{"COSPROXY_SERVICE_HOST=10.0.0.1", "COSPROXY_SERVICE_PORT_HTTP=80", "COSPROXY_PORT=tcp://10.0.0.1:80", "COSPROXY_PORT_80_TCP=x"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(settingsFor(tt.changes...))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(cfg.warnings, tt.want, strings.HasPrefix) {
				t.Errorf("got %q, want what begins with %q", cfg.warnings, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	cfg, err := loadConfig(settingsFor())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(cfg.Listen, cfg.AdminListen, cfg.Route.Source, cfg.Route.Duration, cfg.Endpoint, cfg.Source.STSEndpoint,
		cfg.DrainTimeout, cfg.LogFormat, cfg.LogLevel, cfg.UnsafeListen, cfg.AllowedHosts, cfg.roots == nil)
	want := "127.0.0.1:4360 127.0.0.1:4361 sts 0s " +
		"https://{bucket}.cos.{region}.myqcloud.com https://sts.tencentcloudapi.com " +
		"25s text INFO false  true\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// oidc is what TKE sets in a pod.
func oidc(t *testing.T) []string {
	return []string{"COSPROXY_SOURCE=oidc", "TKE_REGION=ap-guangzhou", "TKE_PROVIDER_ID=cls-examplex",
		"TKE_WEB_IDENTITY_TOKEN_FILE=" + file(t, testToken), "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/r"}
}

func TestSourceIsPinned(t *testing.T) {
	noPair := []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}
	role, keyServer := "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_CREDENTIALS_URL=https://keys.example"
	keyFile := "COSPROXY_CREDENTIALS_FILE=" + file(t, `{"secretId":"AKIDfile","secretKey":"`+testKey+`"}`)
	auto := func(changes ...string) []string { return append(slices.Clone(noPair), changes...) }
	tests := []struct {
		changes []string
		want    string
		auto    bool
	}{
		{nil, "sts", true},
		{[]string{"TENCENTCLOUD_TOKEN=" + testToken}, "static", true},
		{[]string{"TENCENTCLOUD_TOKEN_FILE=" + file(t, testToken)}, "static", true},
		{[]string{role}, "role", true},
		{[]string{keyFile, keyServer}, "sts", true},
		{auto(keyFile, keyServer), "file", true},
		{auto(append(oidc(t), "COSPROXY_SOURCE=auto", keyServer)...), "http", true},
		{auto(append(oidc(t), "COSPROXY_SOURCE=auto")...), "oidc", true},
		{auto(append(oidc(t), "COSPROXY_SOURCE=auto", "COSPROXY_CVM_ROLE=r")...), "cvm", true},
		{auto("COSPROXY_CVM_ROLE=r", keyServer), "http", true},
		{auto(keyServer), "http", true},
		{auto("COSPROXY_SOURCE=cvm"), "cvm", false},
		{[]string{"COSPROXY_SOURCE=sts"}, "sts", false},
		{[]string{"COSPROXY_SOURCE=static"}, "static", false},
		{[]string{"COSPROXY_SOURCE=file", keyFile}, "file", false},
		{[]string{"COSPROXY_SOURCE=http", keyServer}, "http", false},
	}
	for _, tt := range tests {
		cfg, err := loadConfig(settingsFor(tt.changes...))
		if err != nil {
			t.Errorf("%q: %v", tt.changes, err)
		} else if r := cfg.routes[0]; r.Source != tt.want || r.auto != tt.auto {
			t.Errorf("%q: source %s, auto %t, want %s, %t", tt.changes, r.Source, r.auto, tt.want, tt.auto)
		}
	}
}

func TestSecretsFromFilesAreTrimmed(t *testing.T) {
	cfg, err := loadConfig(settingsFor(
		"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE="+file(t, "AKIDfile\n"),
		"TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE="+file(t, "\t"+testKey+"\r\n"),
		"TENCENTCLOUD_TOKEN_FILE="+file(t, testToken)))
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.Source
	if got.SecretID != "AKIDfile" || got.SecretKey != testKey || got.Token != testToken {
		t.Errorf("got id %q, key and token right: %t %t", got.SecretID, got.SecretKey == testKey, got.Token == testToken)
	}
}

func TestListenThatIsLocal(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "127.8.9.1:80", "localhost:4360", "[::1]:4360", "[::ffff:127.0.0.1]:1", "unix:///run/cosproxy.sock", "systemd", "systemd:app"} {
		cfg, err := loadConfig(settingsFor("COSPROXY_LISTEN=" + at))
		if err != nil {
			t.Errorf("%s: %v", at, err)
		} else if cfg.Listen.String() != at {
			t.Errorf("%s was read as %s", at, cfg.Listen)
		}
	}
}

func TestListsIgnoreBlanks(t *testing.T) {
	cfg, err := loadConfig(settingsFor("COSPROXY_ALLOW_PREFIXES= a/* ,b.txt,, c*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a/*", "b.txt", "c*"}; !slices.Equal(cfg.Route.AllowPrefixes, want) {
		t.Errorf("got %q, want %q", cfg.Route.AllowPrefixes, want)
	}
}

func TestConfigPrintsNoSecret(t *testing.T) {
	cfg, err := loadConfig(settingsFor("TENCENTCLOUD_TOKEN=" + testToken))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, format, *cfg)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("m", "key", cfg.Source.SecretKey, "token", cfg.Source.Token)
	}
	text, err := json.Marshal(cfg.Source)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"SecretKey":"[redacted]"`)) {
		t.Errorf("nothing is redacted in %s", text)
	}
	out.Write(text)
	noSecrets(t, out.String())
	if !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("nothing is redacted in %s", out.String())
	}
}

// noSecrets fails if text shows a secret of these tests, in plain or as hex.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, s := range []string{testKey, testToken, tmpKey, tmpToken} {
		if strings.Contains(text, s) || strings.Contains(text, fmt.Sprintf("%x", s)) {
			t.Errorf("%s is shown in %s", s, text)
		}
	}
}

// certificateOf writes the certificate of a TLS server to a PEM file.
func certificateOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}
