package main

import (
	"strings"
	"testing"
)

func TestRenamedSettings(t *testing.T) {
	for _, tt := range []struct{ former, present string }{
		{"COSPROXY_PREFIXES", "COSPROXY_ALLOW_PREFIXES"},
		{"COSPROXY_ACTIONS", "COSPROXY_ALLOW_ACTIONS"},
		{"COSPROXY_KEY_PREFIX", "COSPROXY_OBJECT_PREFIX"},
		{"COSPROXY_KEY_FILE", "COSPROXY_CREDENTIALS_FILE"},
		{"COSPROXY_KEY_FILE_PROFILE", "COSPROXY_CREDENTIALS_PROFILE"},
		{"COSPROXY_KEY_ENDPOINT", "COSPROXY_CREDENTIALS_URL"},
		{"COSPROXY_KEY_ENDPOINT_TOKEN", "COSPROXY_CREDENTIALS_URL_TOKEN"},
		{"COSPROXY_KEY_ENDPOINT_TOKEN_FILE", "COSPROXY_CREDENTIALS_URL_TOKEN_FILE"},
		{"COSPROXY_CVM_METADATA", "COSPROXY_CVM_METADATA_ENDPOINT"},
		{"COSPROXY_TOKEN_FILE", "COSPROXY_CLIENT_TOKEN_FILE"},
		{"COSPROXY_MAX_BODY", "COSPROXY_MAX_BODY_BYTES"},
		{"COSPROXY_MAX_REQUEST_LINE", "COSPROXY_MAX_HEADER_BYTES"},
		{"COSPROXY_MAX_HEADERS", "COSPROXY_MAX_HEADER_BYTES"},
	} {
		t.Run(tt.former, func(t *testing.T) {
			cfg, err := loadConfig(settingsFor(tt.former + "=1"))
			if want := tt.former + " was renamed; use " + tt.present; err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
			for _, warning := range cfg.warnings {
				if strings.Contains(warning, tt.former) {
					t.Errorf("it also warns: %s", warning)
				}
			}
			if _, err := loadConfig(settingsFor(tt.former + "=")); err != nil {
				t.Errorf("without a value: %v", err)
			}
		})
	}
}

func TestRenamedSettings_OfARoute(t *testing.T) {
	_, err := loadConfig(routesFor("COSPROXY_ROUTES_0_KEY_PREFIX=a", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=", "COSPROXY_ROUTES_1_PREFIXES=a"))
	wantProblems(t, err, []string{
		"COSPROXY_ROUTES_0_KEY_PREFIX was renamed; use COSPROXY_ROUTES_0_OBJECT_PREFIX",
		"COSPROXY_ROUTES_1_PREFIXES was renamed; use COSPROXY_ROUTES_1_ALLOW_PREFIXES",
	})
	if strings.Contains(err.Error(), "required") {
		t.Errorf("a consequence of the former name is reported too: %v", err)
	}
}

func TestRenamedSettings_Present(t *testing.T) {
	known := make(map[string]bool)
	for _, s := range settings() {
		known[s.variable] = true
	}
	for former, present := range renamedSettings {
		if known[envPrefix+former] || !known[envPrefix+present] {
			t.Errorf("%s: a setting is %v; %s: a setting is %v", former, known[envPrefix+former], present, known[envPrefix+present])
		}
	}
}

func TestRenamedSource(t *testing.T) {
	_, err := loadConfig(settingsFor("COSPROXY_SOURCE=endpoint"))
	wantProblems(t, err, []string{"COSPROXY_SOURCE is endpoint, which was renamed; use http"})
}
