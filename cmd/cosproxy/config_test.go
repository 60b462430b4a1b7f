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

// Secrets for all tests. No output may contain them.
const (
	testKey   = "SECRETKEY-NEVER-SHOWN"
	testToken = "TOKEN-NEVER-SHOWN"
)

// settingsFor returns the smallest valid environment with changes. The last entry for a
// name wins, as in env.ToMap.
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

// manyPrefixes returns a list whose policy exceeds the maximum length of CAM.
func manyPrefixes() string {
	var all []string
	for i := range 200 {
		all = append(all, fmt.Sprintf("a-rather-long-prefix-of-tenant-%d/*", 1000+i))
	}
	return strings.Join(all, ",")
}

// wantProblems checks that the lines of err start with want, and contain no secret.
func wantProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got\n%s\nwant lines with the prefixes\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	noSecrets(t, strings.Join(got, "\n"))
}

func TestConfig_Problems(t *testing.T) {
	secretFile, emptyFile, noFile := file(t, testKey+"\n"), file(t, " \n"), filepath.Join(t.TempDir(), "none")
	tests := []struct {
		name    string
		changes []string
		want    []string // prefix of each line of the error
	}{
		{"none", nil, nil},
		{"bucket without APPID", []string{"COSPROXY_BUCKET=examplebucket"}, []string{`COSPROXY_BUCKET is invalid: "examplebucket" is not a bucket name with its APPID`}},
		{"bucket empty", []string{"COSPROXY_BUCKET="}, []string{"COSPROXY_BUCKET is required (example: examplebucket-1250000000"}},
		{"region", []string{"COSPROXY_REGION=Guangzhou"}, []string{"COSPROXY_REGION is invalid"}},
		{"prefixes empty", []string{"COSPROXY_ALLOW_PREFIXES="}, []string{"COSPROXY_ALLOW_PREFIXES is required (example: uploads/*"}},
		{"prefixes of commas", []string{"COSPROXY_ALLOW_PREFIXES= , "}, []string{"COSPROXY_ALLOW_PREFIXES is invalid: the list is empty (example: uploads/*"}},
		{"two bad prefixes", []string{"COSPROXY_ALLOW_PREFIXES=/a/*,b/"}, []string{`COSPROXY_ALLOW_PREFIXES is invalid: "/a/*" begins with a slash`, `COSPROXY_ALLOW_PREFIXES is invalid: "b/" matches this one object key`}},
		{"action", []string{"COSPROXY_ALLOW_ACTIONS=read,GetObject"}, []string{`COSPROXY_ALLOW_ACTIONS is invalid: unknown action "GetObject"; write name/cos:GetObject`}},
		{"duration without unit", []string{"COSPROXY_DURATION=1800"}, []string{"COSPROXY_DURATION is invalid"}},
		{"duration too long", []string{"COSPROXY_DURATION=37h"}, []string{"COSPROXY_DURATION is invalid: 37h0m0s is not a duration that STS grants"}},
		{"STS endpoint", []string{"COSPROXY_STS_ENDPOINT=sts.tencentcloudapi.com"}, []string{"COSPROXY_STS_ENDPOINT is invalid: not a URL"}},
		{"endpoint", []string{"COSPROXY_ENDPOINT={bucket}.cos.{region}.myqcloud.com"}, []string{"COSPROXY_ENDPOINT is invalid"}},
		{"endpoint scheme", []string{"COSPROXY_ENDPOINT=ftp://{bucket}"}, []string{"COSPROXY_ENDPOINT is invalid"}},
		{"connect to", []string{"COSPROXY_CONNECT_TO=10.0.0.5"}, []string{`COSPROXY_CONNECT_TO is invalid: "10.0.0.5" is not host:port`}},
		{"connect to a port by name", []string{"COSPROXY_CONNECT_TO=cos:https"}, []string{`COSPROXY_CONNECT_TO is invalid: "cos:https" has no port`}},
		{"source unknown", []string{"COSPROXY_SOURCE=vault"}, []string{`COSPROXY_SOURCE is "vault"; use auto, static, sts, role, oidc, cvm, http or file`}},
		{"no source", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"COSPROXY_SOURCE is auto, but no source is configured: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY for STS; or COSPROXY_CREDENTIALS_FILE"}},
		{"key pair incomplete", []string{"TENCENTCLOUD_SECRET_KEY="}, []string{"TENCENTCLOUD_SECRET_KEY is required for source sts; set it, or set TENCENTCLOUD_SECRET_KEY_FILE to a file that contains it"}},
		{"role incomplete", []string{"COSPROXY_SOURCE=role", "TENCENTCLOUD_SECRET_ID="}, []string{"TENCENTCLOUD_SECRET_ID is required for source role", "COSPROXY_ROLE_ARN is required for source role (example: qcs::cam::uin/"}},
		{"auto role without key pair", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"COSPROXY_SOURCE is auto and COSPROXY_ROLE_ARN is set, but nothing that can assume this role is configured: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY; or the TKE_ variables; or COSPROXY_CVM_ROLE, or this variable to cvm,"}},
		{"auto role without key pair, with a file", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_CREDENTIALS_FILE=/key", "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"COSPROXY_SOURCE is auto and COSPROXY_ROLE_ARN is set, but nothing that can assume"}},
		{"role without key pair", []string{"COSPROXY_SOURCE=role", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"TENCENTCLOUD_SECRET_ID is required for source role", "TENCENTCLOUD_SECRET_KEY is required for source role"}},
		{"role ARN", []string{"COSPROXY_ROLE_ARN=cosproxy"}, []string{"COSPROXY_ROLE_ARN is invalid"}},
		{"role session", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_ROLE_SESSION_NAME=a b"}, []string{"COSPROXY_ROLE_SESSION_NAME is invalid"}},
		{"role for too long", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_DURATION=13h"}, []string{"COSPROXY_DURATION is invalid"}},
		{"token for role", []string{"COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "TENCENTCLOUD_TOKEN=" + testToken}, []string{"TENCENTCLOUD_TOKEN cannot be combined with COSPROXY_SOURCE=role"}},
		{"oidc incomplete", []string{"COSPROXY_SOURCE=oidc"}, []string{"TKE_WEB_IDENTITY_TOKEN_FILE is required for source oidc (example: /var/run/", "TKE_ROLE_ARN is required"}},
		{"auto oidc incomplete", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY=", "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/r"}, []string{"TKE_WEB_IDENTITY_TOKEN_FILE is required"}},
		{"oidc for too long", append(oidc(t), "COSPROXY_DURATION=13h"), []string{"COSPROXY_DURATION is invalid"}},
		{"oidc role ARN", append(oidc(t), "TKE_ROLE_ARN=cosproxy"), []string{"TKE_ROLE_ARN is invalid"}},
		{"second role ARN", append(oidc(t), "COSPROXY_ROLE_ARN=cosproxy"), []string{"COSPROXY_ROLE_ARN is invalid"}},
		{"both role ARNs", append(oidc(t), "TKE_ROLE_ARN=first", "COSPROXY_ROLE_ARN=second"), []string{`COSPROXY_ROLE_ARN is invalid: "second"`, `TKE_ROLE_ARN is invalid: "first"`}},
		{"second role session", append(oidc(t), "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_ROLE_SESSION_NAME=a b"), []string{"COSPROXY_ROLE_SESSION_NAME is invalid"}},
		{"second role for too long", append(oidc(t), "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_DURATION=13h"), []string{"COSPROXY_DURATION is invalid"}},
		{"second role of an instance for too long", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_DURATION=13h"}, []string{"COSPROXY_DURATION is invalid"}},
		{"policy of the second role too long", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_ALLOW_PREFIXES=" + manyPrefixes()}, []string{"COSPROXY_ALLOW_PREFIXES is invalid: the 200 prefixes and"}},
		{"metadata URL", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_CVM_METADATA_ENDPOINT=169.254.0.23"}, []string{"COSPROXY_CVM_METADATA_ENDPOINT is invalid"}},
		{"no credentials server", []string{"COSPROXY_SOURCE=http"}, []string{"COSPROXY_CREDENTIALS_URL is required for source http"}},
		{"credentials server over http", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=http://credentials.internal/"}, []string{"COSPROXY_CREDENTIALS_URL is invalid: plain http"}},
		{"credentials server with two tokens", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=https://credentials.internal", "COSPROXY_CREDENTIALS_URL_TOKEN=" + testToken, "COSPROXY_CREDENTIALS_URL_TOKEN_FILE=/f"}, []string{"COSPROXY_CREDENTIALS_URL_TOKEN_FILE is invalid"}},
		{"credentials server without scheme", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=credentials.internal"}, []string{"COSPROXY_CREDENTIALS_URL is invalid"}},
		{"no credentials file", []string{"COSPROXY_SOURCE=file"}, []string{"COSPROXY_CREDENTIALS_FILE is required for source file"}},
		{"object prefix with a slash", []string{"COSPROXY_OBJECT_PREFIX=/a/"}, []string{"COSPROXY_OBJECT_PREFIX starts with a slash, unlike object keys; use a/"}},
		{"object prefix outside", []string{"COSPROXY_OBJECT_PREFIX=photos/"}, []string{"COSPROXY_ALLOW_PREFIXES allows no object key that starts with photos/, which COSPROXY_OBJECT_PREFIX adds to every object key; add for example photos/*"}},
		{"path prefix", []string{"COSPROXY_PATH_PREFIX=photos"}, []string{`COSPROXY_PATH_PREFIX is invalid: path prefix "photos" must begin and end with a slash`}},
		{"hosts empty", []string{"COSPROXY_HOSTS=,"}, []string{"COSPROXY_HOSTS is invalid: the list is empty (example: photos.internal"}},
		{"no pair", []string{"COSPROXY_SOURCE=sts", "TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}, []string{"TENCENTCLOUD_SECRET_ID is required for source sts", "TENCENTCLOUD_SECRET_KEY is required for source sts"}},
		{"no pair for static", []string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_SECRET_ID="}, []string{"TENCENTCLOUD_SECRET_ID is required"}},
		{"token for STS", []string{"COSPROXY_SOURCE=sts", "TENCENTCLOUD_TOKEN=" + testToken}, []string{"TENCENTCLOUD_TOKEN cannot be combined with COSPROXY_SOURCE=sts"}},
		{"space in the key pair", []string{"TENCENTCLOUD_SECRET_KEY=" + testKey + " " + testKey}, []string{"TENCENTCLOUD_SECRET_KEY is invalid"}},
		{"secret twice", []string{"TENCENTCLOUD_SECRET_KEY_FILE=" + secretFile}, []string{"TENCENTCLOUD_SECRET_KEY_FILE and TENCENTCLOUD_SECRET_KEY are both set"}},
		{"secret file missing", []string{"TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE=" + noFile}, []string{"TENCENTCLOUD_SECRET_KEY_FILE is a file that cannot be read: no such file or directory; use a file that"}},
		{"secret file empty", []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE=" + emptyFile}, []string{"TENCENTCLOUD_SECRET_ID_FILE is an empty file"}},
		{"token file missing", []string{"TENCENTCLOUD_TOKEN_FILE=" + noFile}, []string{"TENCENTCLOUD_TOKEN_FILE is a file that cannot be read: no such file"}},
		{"CA file missing", []string{"COSPROXY_CA_FILE=" + noFile}, []string{"COSPROXY_CA_FILE is a file that cannot be read: no such file"}},
		{"CA file without PEM", []string{"COSPROXY_CA_FILE=" + secretFile}, []string{"COSPROXY_CA_FILE is " + secretFile + ", which contains no PEM certificate"}},
		{"listen off", []string{"COSPROXY_LISTEN=off"}, []string{"COSPROXY_LISTEN cannot be off"}},
		{"listen without port", []string{"COSPROXY_LISTEN=127.0.0.1"}, []string{`COSPROXY_LISTEN is invalid: "127.0.0.1" is not host:port (example: 127.0.0.1:4360`}},
		{"listen on a port too high", []string{"COSPROXY_LISTEN=127.0.0.1:70000"}, []string{"COSPROXY_LISTEN is invalid"}},
		{"listen on a relative socket", []string{"COSPROXY_LISTEN=unix://run/cosproxy.sock"}, []string{"COSPROXY_LISTEN is invalid: the socket path in \"unix://run/cosproxy.sock\" is not absolute"}},
		{"listen on all interfaces", []string{"COSPROXY_LISTEN=:4360"}, []string{"COSPROXY_LISTEN is :4360, which other machines can reach"}},
		{"listen on a name", []string{"COSPROXY_LISTEN=example.com:4360"}, []string{"COSPROXY_LISTEN is example.com:4360, which other machines can reach"}},
		{"admin on all interfaces", []string{"COSPROXY_ADMIN_LISTEN=[::]:4361"}, []string{"COSPROXY_ADMIN_LISTEN is [::]:4361, which other machines can reach"}},
		{"systemd without a name", []string{"COSPROXY_LISTEN=systemd:"}, []string{"COSPROXY_LISTEN is invalid"}},
		{"systemd for both", []string{"COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=systemd"}, []string{"COSPROXY_ADMIN_LISTEN and COSPROXY_LISTEN are both sockets from systemd"}},
		{"socket mode", []string{"COSPROXY_SOCKET_MODE=rw"}, []string{`COSPROXY_SOCKET_MODE is invalid: "rw" is not an octal number up to 0777 (example: 0660`}},
		{"socket mode beyond", []string{"COSPROXY_SOCKET_MODE=1777"}, []string{"COSPROXY_SOCKET_MODE is invalid"}},
		{"socket owner unknown", []string{"COSPROXY_SOCKET_OWNER=no-such-user"}, []string{`COSPROXY_SOCKET_OWNER is invalid: this machine has no user "no-such-user" (example: app:www-data`}},
		{"socket group unknown", []string{"COSPROXY_SOCKET_OWNER=0:no-such-group"}, []string{`COSPROXY_SOCKET_OWNER is invalid: this machine has no group "no-such-group"`}},
		{"empty socket owner", []string{"COSPROXY_SOCKET_OWNER=:"}, []string{"COSPROXY_SOCKET_OWNER is invalid"}},
		{"token file missing for clients", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + noFile}, []string{"COSPROXY_CLIENT_TOKEN_FILE cannot be used: no such file or directory; use a file that contains the token"}},
		{"token file empty for clients", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + emptyFile}, []string{"COSPROXY_CLIENT_TOKEN_FILE cannot be used: " + emptyFile + " is empty"}},
		{"token wrapped for clients", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken+"\n"+testToken)}, []string{"COSPROXY_CLIENT_TOKEN_FILE cannot be used"}},
		{"certificate without private key", []string{"COSPROXY_TLS_CERT_FILE=/c"}, []string{"COSPROXY_TLS_KEY_FILE is required with COSPROXY_TLS_CERT_FILE"}},
		{"private key without certificate", []string{"COSPROXY_TLS_KEY_FILE=/k"}, []string{"COSPROXY_TLS_CERT_FILE is required with COSPROXY_TLS_KEY_FILE"}},
		{"invalid certificate", []string{"COSPROXY_TLS_CERT_FILE=" + secretFile, "COSPROXY_TLS_KEY_FILE=" + secretFile}, []string{"COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE cannot be used: tls: failed to find any PEM data"}},
		{"private key of another certificate", []string{"COSPROXY_TLS_CERT_FILE=" + newPair(t, "a").cert, "COSPROXY_TLS_KEY_FILE=" + newPair(t, "b").key}, []string{"COSPROXY_TLS_CERT_FILE and COSPROXY_TLS_KEY_FILE cannot be used: tls: private key does not match"}},
		{"one address for both", []string{"COSPROXY_ADMIN_LISTEN=127.0.0.1:4360"}, []string{"COSPROXY_ADMIN_LISTEN is the same address as COSPROXY_LISTEN"}},
		{"unsafe listen not a bool", []string{"COSPROXY_UNSAFE_LISTEN=yes"}, []string{"COSPROXY_UNSAFE_LISTEN is invalid"}},
		{"invalid origins", []string{"COSPROXY_ALLOWED_ORIGINS=app.example,null,https://a.example/path"}, []string{
			`COSPROXY_ALLOWED_ORIGINS is invalid: "app.example" is not an origin`, `COSPROXY_ALLOWED_ORIGINS is invalid: "null" is not an origin`, `COSPROXY_ALLOWED_ORIGINS is invalid: "https://a.example/path" is not an origin`}},
		{"hosts of commas", []string{"COSPROXY_ALLOWED_HOSTS=,"}, []string{"COSPROXY_ALLOWED_HOSTS is invalid"}},
		{"hosts with scheme or port", []string{"COSPROXY_ALLOWED_HOSTS=*,http://foo/,a:80"}, []string{
			`COSPROXY_ALLOWED_HOSTS is invalid: "*" is not a host name`, `COSPROXY_ALLOWED_HOSTS is invalid: "http://foo/" is not a host name`, `COSPROXY_ALLOWED_HOSTS is invalid: "a:80" has a port`}},
		{"invalid hosts", []string{"COSPROXY_ALLOWED_HOSTS=a b,a/b,[::1]:80,-a,cös"}, []string{
			`COSPROXY_ALLOWED_HOSTS is invalid: "a b" is not a host name or an address; use`, `COSPROXY_ALLOWED_HOSTS is invalid: "a/b" is not`, `COSPROXY_ALLOWED_HOSTS is invalid: "[::1]:80" has a port`,
			`COSPROXY_ALLOWED_HOSTS is invalid: "-a" is not`, `COSPROXY_ALLOWED_HOSTS is invalid: "cös" is not`}},
		{"valid hosts", []string{"COSPROXY_ALLOWED_HOSTS=a,A_b.c-d.internal,10.0.0.5,::1,[fd00::5]"}, nil},
		{"hosts of the route", []string{"COSPROXY_HOSTS=*.internal"}, []string{`COSPROXY_HOSTS is invalid: "*.internal" is not a host name`}},
		{"connect to no host", []string{"COSPROXY_CONNECT_TO=:443"}, []string{`COSPROXY_CONNECT_TO is invalid: ":443" has no host (example: 10.0.0.5:443`}},
		{"connect to empty brackets", []string{"COSPROXY_CONNECT_TO=[]:443"}, []string{`COSPROXY_CONNECT_TO is invalid: "[]:443" has no host`}},
		{"endpoint port", []string{"COSPROXY_ENDPOINT=https://x:99999"}, []string{`COSPROXY_ENDPOINT is invalid: the port of endpoint "https://x:99999" is not between 1 and 65535; correct it`}},
		{"endpoint with a password", []string{"COSPROXY_ENDPOINT=https://user:p%ss" + testKey + "@x"}, []string{"COSPROXY_ENDPOINT is invalid: the endpoint must not contain a user"}},
		{"wrapped token", []string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_TOKEN=" + testToken + "\n" + testToken}, []string{"TENCENTCLOUD_TOKEN is invalid: the value contains a space, a line break or"}},
		{"wrapped token in a file", []string{"TENCENTCLOUD_TOKEN_FILE=" + file(t, testToken+"\r\n"+testToken)}, []string{"TENCENTCLOUD_TOKEN_FILE is invalid: the value contains a space, a line break or"}},
		{"wrapped pair in files", []string{
			"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE=" + file(t, "AKID\nexample"),
			"TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE=" + file(t, testKey+"\n"+testKey)}, []string{
			"TENCENTCLOUD_SECRET_ID_FILE is invalid", "TENCENTCLOUD_SECRET_KEY_FILE is invalid"}},
		{"pair with other characters", []string{"TENCENTCLOUD_SECRET_ID=AKID\x7fexample", "TENCENTCLOUD_SECRET_KEY=“" + testKey + "”"}, []string{
			"TENCENTCLOUD_SECRET_ID is invalid", "TENCENTCLOUD_SECRET_KEY is invalid: the value contains a space, a line break or a character outside ASCII"}},
		{"SecretId with &", []string{"COSPROXY_SOURCE=static", "TENCENTCLOUD_SECRET_ID=AKIDexample&q-ak"}, []string{"TENCENTCLOUD_SECRET_ID is invalid: a SecretId contains none of & ; =; set it as"}},
		{"SecretId with ;", []string{"TENCENTCLOUD_SECRET_ID=AKIDexample;"}, []string{"TENCENTCLOUD_SECRET_ID is invalid: a SecretId contains none of"}},
		{"SecretId with =", []string{"TENCENTCLOUD_SECRET_ID=id=AKIDexample"}, []string{"TENCENTCLOUD_SECRET_ID is invalid: a SecretId contains none of"}},
		{"invalid proxy", []string{"HTTPS_PROXY=http://", "http_proxy=http://a b"}, []string{"http_proxy is not the URL", "HTTPS_PROXY is not the URL"}},
		{"proxy with a password", []string{"https_proxy=http://user:" + testKey + "@:port", "HTTP_PROXY=user:%" + testKey + "@proxy"}, []string{
			"HTTP_PROXY is not the URL of a proxy (example: http://proxy.internal:3128", "https_proxy is not the URL"}},
		{"proxies", []string{"HTTPS_PROXY=http://proxy:3128", "HTTP_PROXY=proxy:3128"}, nil},
		{"policy too long", []string{"COSPROXY_ALLOW_PREFIXES=" + manyPrefixes()}, []string{"COSPROXY_ALLOW_PREFIXES is invalid: the 200 prefixes and"}},
		{"long list without a policy", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_ALLOW_PREFIXES=" + manyPrefixes()}, nil},
		{"negative splay", []string{"COSPROXY_SPLAY=-1s"}, []string{"COSPROXY_SPLAY is negative"}},
		{"two sockets of systemd, one without a name", []string{"COSPROXY_LISTEN=systemd", "COSPROXY_ADMIN_LISTEN=systemd:admin"}, []string{
			"COSPROXY_ADMIN_LISTEN and COSPROXY_LISTEN are both sockets from systemd"}},
		{"no requests", []string{"COSPROXY_MAX_REQUESTS=0"}, []string{"COSPROXY_MAX_REQUESTS must be greater than zero"}},
		{"negative queue", []string{"COSPROXY_MAX_QUEUED=-1"}, []string{"COSPROXY_MAX_QUEUED is negative"}},
		{"zero stall timeout", []string{"COSPROXY_STALL_TIMEOUT=0s"}, []string{"COSPROXY_STALL_TIMEOUT must be greater than zero (example: 1m"}},
		{"size without a number", []string{"COSPROXY_MAX_BODY_BYTES=large"}, []string{`COSPROXY_MAX_BODY_BYTES is invalid: "large" is not a size (example: 100MiB`}},
		{"size with an unknown unit", []string{"COSPROXY_MAX_BODY_BYTES=1MB"}, []string{"COSPROXY_MAX_BODY_BYTES is invalid"}},
		{"size that overflows", []string{"COSPROXY_MAX_BODY_BYTES=8589934592GiB"}, []string{"COSPROXY_MAX_BODY_BYTES is invalid"}},
		{"header limit too large", []string{"COSPROXY_MAX_HEADER_BYTES=2MiB"}, []string{"COSPROXY_MAX_HEADER_BYTES is more than 1MiB"}},
		{"zero size", []string{"COSPROXY_MAX_HEADER_BYTES=0"}, []string{"COSPROXY_MAX_HEADER_BYTES is invalid"}},
		{"negative drain", []string{"COSPROXY_DRAIN_TIMEOUT=-1s"}, []string{"COSPROXY_DRAIN_TIMEOUT is negative"}},
		{"log format", []string{"COSPROXY_LOG_FORMAT=xml"}, []string{`COSPROXY_LOG_FORMAT is "xml"; use text or json`}},
		{"log level", []string{"COSPROXY_LOG_LEVEL=loud"}, []string{"COSPROXY_LOG_LEVEL is invalid"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(settingsFor(tt.changes...))
			wantProblems(t, err, tt.want)
		})
	}
}

func TestConfig_Warnings(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    []string
	}{
		{"none", nil, nil},
		{"all keys", []string{"COSPROXY_ALLOW_PREFIXES=a/*,*"}, []string{"COSPROXY_ALLOW_PREFIXES contains *: clients can access every object in the bucket"}},
		{"all actions", []string{"COSPROXY_ALLOW_ACTIONS=*"}, []string{"COSPROXY_ALLOW_ACTIONS contains *"}},
		{"all actions by name", []string{"COSPROXY_ALLOW_ACTIONS=name/cos:*"}, []string{"COSPROXY_ALLOW_ACTIONS contains *"}},
		{"list of buckets", []string{"COSPROXY_ALLOW_ACTIONS=read,name/cos:GetService"}, []string{"COSPROXY_ALLOW_ACTIONS contains name/cos:GetService"}},
		{"long-lived key pair", []string{"COSPROXY_SOURCE=static"}, []string{"COSPROXY_SOURCE=static without TENCENTCLOUD_TOKEN"}},
		{"unused sources", []string{"COSPROXY_CREDENTIALS_URL=https://credentials.internal/", "COSPROXY_CREDENTIALS_FILE=/key"}, []string{"COSPROXY_SOURCE is auto and selects sts; configured but not used: file, http"}},
		{"STS over http", []string{"COSPROXY_STS_ENDPOINT=http://sts.example"}, []string{"COSPROXY_STS_ENDPOINT uses plain http"}},
		{"STS over http, unused", []string{"COSPROXY_STS_ENDPOINT=http://sts.example", "COSPROXY_SOURCE=cvm"}, []string{"COSPROXY_SOURCE=cvm: the credentials of an instance have all permissions of its role; the prefixes and actions may be enforced by cosproxy alone"}},
		{"credentials server", []string{"COSPROXY_CREDENTIALS_URL=https://credentials.example", "COSPROXY_SOURCE=http"}, []string{"COSPROXY_SOURCE=http: the credentials server gets the scope and decides"}},
		{"web identity", oidc(t), []string{"COSPROXY_SOURCE=oidc: credentials for a web identity have"}},
		{"web identity with a second role", append(oidc(t), "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r"), nil},
		{"instance with a second role, STS over http", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_STS_ENDPOINT=http://sts.example"}, []string{"COSPROXY_STS_ENDPOINT uses plain http"}},
		{"second role, not used", append(oidc(t), "COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=https://keys.example", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r"), []string{"COSPROXY_SOURCE=http: the credentials server gets"}},
		{"static credentials", []string{"TENCENTCLOUD_TOKEN=" + testToken}, []string{"COSPROXY_SOURCE=static: given credentials keep"}},
		{"STS on loopback", []string{"COSPROXY_STS_ENDPOINT=http://127.0.0.1"}, nil},
		{"other machines", []string{"COSPROXY_LISTEN=:4360", "COSPROXY_ADMIN_LISTEN=10.0.0.5:4361", "COSPROXY_UNSAFE_LISTEN=true"}, []string{
			"COSPROXY_LISTEN=:4360 is reachable from other machines: every client can use the bucket (set COSPROXY_CLIENT_TOKEN_FILE), and requests and responses are not encrypted (set COSPROXY_TLS_CERT_FILE and",
			"COSPROXY_ADMIN_LISTEN=10.0.0.5:4361 is reachable from other machines"}},
		{"other machines, with a token", []string{"COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true", "COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken)}, []string{
			"COSPROXY_LISTEN=:4360 is reachable from other machines: requests and responses are not encrypted"}},
		{"other machines, with TLS", append(newPair(t, "a").settings(), "COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true"), []string{
			"COSPROXY_LISTEN=:4360 is reachable from other machines: every client can use the bucket (set COSPROXY_CLIENT_TOKEN_FILE)"}},
		{"other machines, with both", append(newPair(t, "a").settings(), "COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true", "COSPROXY_CLIENT_TOKEN_FILE="+file(t, testToken)), nil},
		{"other names", []string{"COSPROXY_ALLOWED_HOSTS=cosproxy.internal"}, []string{"COSPROXY_ALLOWED_HOSTS without TLS: browsers send"}},
		{"other names, with a token", []string{"COSPROXY_ALLOWED_HOSTS=cosproxy.internal", "COSPROXY_CLIENT_TOKEN_FILE=" + file(t, testToken)}, nil},
		{"COS over http", []string{"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com"}, []string{"COSPROXY_ENDPOINT uses plain http, which exposes objects and session tokens"}},
		{"spare domain", []string{"COSPROXY_SPARE_DOMAIN=true"}, nil},
		{"spare domain without use", []string{"COSPROXY_SPARE_DOMAIN=true", "COSPROXY_CONNECT_TO=10.0.0.5:443"}, []string{"COSPROXY_SPARE_DOMAIN has no effect, because"}},
		{"COS on loopback", []string{"COSPROXY_ENDPOINT=http://localhost:9000"}, nil},
		{"COS through a loopback tunnel", []string{"COSPROXY_ENDPOINT=http://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO=[::1]:9000"}, nil},
		{"COS through another machine", []string{"COSPROXY_ENDPOINT=http://localhost", "COSPROXY_CONNECT_TO=10.0.0.5:80"}, []string{"COSPROXY_ENDPOINT uses plain http"}},
		{"a short token", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, "fifteen-letters\n")}, []string{"COSPROXY_CLIENT_TOKEN_FILE contains a token of 15 bytes, which can be guessed; use at least 16 random"}},
		{"a token just long enough", []string{"COSPROXY_CLIENT_TOKEN_FILE=" + file(t, "sixteen-letters-\n")}, nil},
		{"unknown settings", []string{"COSPROXY_ALLOW_PREFIX=a", "COSPROXY_LOGLEVEL=info", "COSPROXY_LISTEN_ADDRESS=x"}, []string{
			"unknown setting COSPROXY_ALLOW_PREFIX; did you mean COSPROXY_ALLOW_PREFIXES?",
			"unknown setting COSPROXY_LISTEN_ADDRESS; did you mean COSPROXY_LISTEN?",
			"unknown setting COSPROXY_LOGLEVEL; did you mean COSPROXY_LOG_LEVEL?"}},
		{"a Kubernetes Service", []string{"COSPROXY_SERVICE_HOST=10.0.0.1", "COSPROXY_SERVICE_PORT_HTTP=80", "COSPROXY_PORT=tcp://10.0.0.1:80", "COSPROXY_PORT_80_TCP=x"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(settingsFor(tt.changes...))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(cfg.warnings, tt.want, strings.HasPrefix) {
				t.Errorf("got %q, want prefixes %q", cfg.warnings, tt.want)
			}
		})
	}
}

func TestConfig_Defaults(t *testing.T) {
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

// oidc returns the variables that TKE sets in a pod.
func oidc(t *testing.T) []string {
	return []string{"COSPROXY_SOURCE=oidc", "TKE_REGION=ap-guangzhou", "TKE_PROVIDER_ID=cls-examplex",
		"TKE_WEB_IDENTITY_TOKEN_FILE=" + file(t, testToken), "TKE_ROLE_ARN=qcs::cam::uin/1:roleName/r"}
}

func TestConfig_AutoSource(t *testing.T) {
	noPair := []string{"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_KEY="}
	role, keyServer := "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r", "COSPROXY_CREDENTIALS_URL=https://credentials.example"
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
		{append(oidc(t), "COSPROXY_SOURCE=auto", role), "role", true},
		{auto(append(oidc(t), "COSPROXY_SOURCE=auto", role, keyServer, keyFile)...), "oidc", true},
		{auto(append(oidc(t), "COSPROXY_SOURCE=auto", role, "COSPROXY_CVM_ROLE=r")...), "cvm", true},
		{auto("COSPROXY_CVM_ROLE=r", role, keyServer), "cvm", true},
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

func TestConfig_SecretFilesTrimmed(t *testing.T) {
	cfg, err := loadConfig(settingsFor(
		"TENCENTCLOUD_SECRET_ID=", "TENCENTCLOUD_SECRET_ID_FILE="+file(t, "AKIDfile\n"),
		"TENCENTCLOUD_SECRET_KEY=", "TENCENTCLOUD_SECRET_KEY_FILE="+file(t, "\t"+testKey+"\r\n"),
		"TENCENTCLOUD_TOKEN_FILE="+file(t, testToken)))
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.Source
	if got.SecretID != "AKIDfile" || got.SecretKey != testKey || got.Token != testToken {
		t.Errorf("got SecretId %q, SecretKey and token correct: %t %t", got.SecretID, got.SecretKey == testKey, got.Token == testToken)
	}
}

func TestConfig_LocalListeners(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "127.8.9.1:80", "localhost:4360", "[::1]:4360", "[::ffff:127.0.0.1]:1", "unix:///run/cosproxy.sock", "systemd", "systemd:app"} {
		cfg, err := loadConfig(settingsFor("COSPROXY_LISTEN=" + at))
		if err != nil {
			t.Errorf("%s: %v", at, err)
		} else if cfg.Listen.String() != at {
			t.Errorf("%s was parsed as %s", at, cfg.Listen)
		}
	}
}

func TestConfig_ListBlanks(t *testing.T) {
	cfg, err := loadConfig(settingsFor("COSPROXY_ALLOW_PREFIXES= a/* ,b.txt,, c*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a/*", "b.txt", "c*"}; !slices.Equal(cfg.Route.AllowPrefixes, want) {
		t.Errorf("got %q, want %q", cfg.Route.AllowPrefixes, want)
	}
}

func TestConfig_SecretsRedacted(t *testing.T) {
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

// noSecrets checks that text contains no secret of these tests, in plain or as hex.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, s := range []string{testKey, testToken, tmpKey, tmpToken} {
		if strings.Contains(text, s) || strings.Contains(text, fmt.Sprintf("%x", s)) {
			t.Errorf("secret %s in %s", s, text)
		}
	}
}

// certificateOf writes the certificate of a TLS server to a PEM file.
func certificateOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}
