package main

import (
	"maps"
	"slices"
	"strings"
)

// renamedSettings are the former names of settings and their present ones, without
// COSPROXY_. No release had them; they are errors, so that none is ignored silently.
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

// renamedSource is the former name of the source http.
const renamedSource = "endpoint"

// presentName is the name of the setting that was called name; "" if none was. A
// setting of a numbered route keeps its number.
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

// rejectRenamed adds a problem for each variable that has a former name.
func rejectRenamed(vars map[string]string, p *problems) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if present := presentName(name); present != "" && vars[name] != "" {
			p.add(name, "was renamed: write %s", present)
			p.invalid[present] = true // its value is not known
		}
	}
}
