package main

import (
	"strings"
	"testing"

	"cosproxy/proxy"
)

// Errors before a route is chosen name settings without a route.
func TestSettingName_WithoutRoute(t *testing.T) {
	for _, name := range []string{"Route.Bucket", "Route.Region", "Route.Dialect", "Route.Endpoint", "Limits.BodyBytes"} {
		if got := new(resolved).settingName(proxy.Setting{Name: name}); !strings.HasPrefix(got, "COSPROXY_") {
			t.Errorf("%s is named %s", name, got)
		}
	}
}
