package main

import (
	"net"
	"os"
	"strings"
	"testing"
)

func TestLoop_IsReached(t *testing.T) {
	own := ownAddress(t)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		listen, dial string
		want         bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "localhost", true},
		{"127.0.0.1", "LOCALHOST.", true},
		{"127.0.0.1", "::ffff:127.0.0.1", true},
		{"127.0.0.1", "0.0.0.0", true},
		{"127.0.0.1", "", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"127.0.0.1", "::1", false},
		{"127.0.0.1", "cos.example", false},
		{"::1", "localhost", true},
		{"::1", "::", true},
		{"::1", "127.0.0.1", false},
		{"localhost", "127.0.0.1", true},
		{"localhost", "::1", true},
		{"localhost", "127.0.0.2", false},
		{"0.0.0.0", "127.0.0.2", true},
		{"0.0.0.0", "::1", false},
		{"0.0.0.0", "localhost", true},
		{"0.0.0.0", own, true},
		{"::", own, true},
		{"", own, true},
		{"", name, true},
		{"", "127.0.0.1", true},
		{"::", "::1", true},
		{"0.0.0.0", "192.0.2.1", false},
		{"", "cos.example", false},
		{own, own, true},
		{own, "127.0.0.1", false},
		{"cosproxy.internal", "Cosproxy.internal.", true},
		{"cosproxy.internal", "127.0.0.1", false},
	} {
		if got := isReached(tt.listen, tt.dial); got != tt.want {
			t.Errorf("listening on %q, dialing %q: %t, want %t", tt.listen, tt.dial, got, tt.want)
		}
	}
}

// ownAddress returns an IPv4 address of this machine, a loopback one if there is no other.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	return "127.0.0.3"
}

func TestLoop_Settings(t *testing.T) {
	const endpoint = "COSPROXY_ENDPOINT=http://127.0.0.1:4360"
	for _, tt := range []struct {
		name     string
		settings []string
		wants    []string // empty: no error
	}{
		{"endpoint", []string{endpoint}, []string{"COSPROXY_ENDPOINT leads to 127.0.0.1:4360", "COSPROXY_LISTEN=127.0.0.1:4360"}},
		{"endpoint at the admin listener", []string{"COSPROXY_ENDPOINT=http://localhost:4361"}, []string{"COSPROXY_ENDPOINT", "COSPROXY_ADMIN_LISTEN="}},
		{"endpoint without a port", []string{"COSPROXY_ENDPOINT=http://localhost", "COSPROXY_LISTEN=127.0.0.1:80"}, []string{"COSPROXY_ENDPOINT leads to localhost"}},
		{"https without a port", []string{"COSPROXY_ENDPOINT=https://localhost", "COSPROXY_LISTEN=127.0.0.1:443"}, []string{"COSPROXY_ENDPOINT leads to localhost"}},
		{"connect to", []string{"COSPROXY_CONNECT_TO=[::1]:4360", "COSPROXY_LISTEN=localhost:4360"}, []string{"COSPROXY_CONNECT_TO leads to [::1]:4360"}},
		{"connect to a wildcard", []string{"COSPROXY_CONNECT_TO=127.0.0.9:4360", "COSPROXY_LISTEN=:4360", "COSPROXY_UNSAFE_LISTEN=true"}, []string{"COSPROXY_CONNECT_TO"}},
		{"STS", []string{"COSPROXY_STS_ENDPOINT=http://127.0.0.1:4360"}, []string{"COSPROXY_STS_ENDPOINT leads to"}},
		{"key server", []string{"COSPROXY_SOURCE=http", "COSPROXY_CREDENTIALS_URL=http://127.0.0.1:4360/keys"}, []string{"COSPROXY_CREDENTIALS_URL leads to"}},
		{"metadata", []string{"COSPROXY_SOURCE=cvm", "COSPROXY_CVM_METADATA_ENDPOINT=http://127.0.0.1:4360"}, []string{"COSPROXY_CVM_METADATA_ENDPOINT leads to"}},
		{"several routes", []string{
			"COSPROXY_BUCKET=", "COSPROXY_ALLOW_PREFIXES=", "COSPROXY_ALLOW_ACTIONS=", "COSPROXY_CONNECT_TO=127.0.0.1:4360",
			"COSPROXY_ROUTES_0_BUCKET=a-1250000000", "COSPROXY_ROUTES_0_ALLOW_PREFIXES=*", "COSPROXY_ROUTES_0_ALLOW_ACTIONS=read",
		}, []string{"COSPROXY_CONNECT_TO leads to"}},

		{"another port", []string{"COSPROXY_ENDPOINT=http://127.0.0.1:4362"}, nil},
		{"another address", []string{"COSPROXY_ENDPOINT=http://127.0.0.2:4360"}, nil},
		{"admin off", []string{"COSPROXY_ENDPOINT=http://127.0.0.1:4361", "COSPROXY_ADMIN_LISTEN=off"}, nil},
		{"endpoint that is not dialed", []string{endpoint, "COSPROXY_CONNECT_TO=127.0.0.1:9"}, nil},
		{"Unix socket", []string{endpoint, "COSPROXY_LISTEN=unix:///run/cosproxy.sock"}, nil},
		{"key server that is not used", []string{"COSPROXY_SOURCE=sts", "COSPROXY_CREDENTIALS_URL=http://127.0.0.1:4360/keys"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(settingsFor(tt.settings...))
			if len(tt.wants) == 0 {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("the loop is not reported")
			}
			contains(t, err.Error(), append(tt.wants, "which is a listener of cosproxy itself")...)
			if n := strings.Count(err.Error(), "\n"); n > 0 {
				t.Errorf("%d lines for one problem:\n%v", n+1, err)
			}
		})
	}
}
