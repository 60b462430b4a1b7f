package main

import (
	"maps"
	"slices"
	"strings"
)

// renamedSettings maps former names of settings to present names, without COSPROXY_. A
// former name is an error, so that no setting is silently ignored.
var renamedSettings = map[string]string{
	"PREFIXES":                "ALLOW_PREFIXES",
	"ACTIONS":                 "ALLOW_ACTIONS",
	"KEY_PREFIX":              "OBJECT_PREFIX",
	"KEY_FILE":                "CREDENTIALS_FILE",
	"KEY_FILE_PROFILE":        "CREDENTIALS_PROFILE",
	"KEY_ENDPOINT":            "CREDENTIALS_URL",
	"KEY_ENDPOINT_TOKEN":      "CREDENTIALS_URL_TOKEN",
	"KEY_ENDPOINT_TOKEN_FILE": "CREDENTIALS_URL_TOKEN_FILE",
	"CVM_METADATA":            "CVM_METADATA_ENDPOINT",
	"TOKEN_FILE":              "CLIENT_TOKEN_FILE",
	"MAX_BODY":                "MAX_BODY_BYTES",
	"MAX_REQUEST_LINE":        "MAX_HEADER_BYTES",
	"MAX_HEADERS":             "MAX_HEADER_BYTES",
}

// renamedSource is the former name of source http.
const renamedSource = "endpoint"

// presentName returns the present name of a setting with a former name, or "" if name is
// not a former name. A setting of a numbered route keeps its number.
func presentName(name string) string {
	prefix := routeVariable.FindString(name)
	if prefix == "" {
		prefix = envPrefix
	}
	former, ok := strings.CutPrefix(name, prefix)
	present := renamedSettings[former]
	if !ok || present == "" {
		return ""
	}
	return prefix + present
}

// rejectRenamed adds a problem for each variable with a former name.
func rejectRenamed(vars map[string]string, p *problems) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if present := presentName(name); present != "" && vars[name] != "" {
			p.add(name, "was renamed; use %s", present)
			p.invalid[present] = true // its value is unknown
		}
	}
}
