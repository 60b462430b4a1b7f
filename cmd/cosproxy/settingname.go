package main

import "cosproxy/proxy"

// optionFields maps the options of package proxy to the fields of config.
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

// settingName returns the environment variable of an option of package proxy, for its
// error messages.
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
	case "Route.Dialect":
		return "COSPROXY_DIALECT or COSPROXY_ROUTES_<n>_DIALECT"
	case "Route.Region":
		return "COSPROXY_REGION or COSPROXY_ROUTES_<n>_REGION"
	}
	return s.String()
}
