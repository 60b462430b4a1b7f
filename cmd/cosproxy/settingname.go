package main

import "cosproxy/proxy"

// optionFields are the fields of config that fill the options of package proxy.
var optionFields = map[string]string{
	"AllowedHosts":       "AllowedHosts",
	"AllowedOrigins":     "AllowedOrigins",
	"ClientToken":        "ClientTokenFile",
	"Limits.Requests":    "MaxRequests",
	"Limits.Queued":      "MaxQueued",
	"Limits.HeaderBytes": "MaxHeaderBytes",
	"Limits.BodyBytes":   "MaxBodyBytes",
	"Upstream.ConnectTo": "ConnectTo",
	"Route.Endpoint":     "Endpoint",
}

// settingName is the environment variable of an option of package proxy, for the
// messages of its errors.
func (c *resolved) settingName(s proxy.Setting) string {
	if field, ok := optionFields[s.Name]; ok {
		return variable(field)
	}
	for _, r := range c.routes {
		if name := r.names[s.Name]; r.name == s.Route && name != "" {
			return name
		}
	}
	switch s.Name {
	case "Route.Bucket":
		return "COSPROXY_BUCKET or COSPROXY_ROUTES_<n>_BUCKET"
	case "Route.Region":
		return "COSPROXY_REGION or COSPROXY_ROUTES_<n>_REGION"
	}
	return s.String()
}
