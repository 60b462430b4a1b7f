package proxy

import "cosproxy/proxy/internal/coserr"

// Setting names a setting for error messages: a field of Options, such as
// Limits.BodyBytes or Upstream.ConnectTo, or a field of the Route named Setting.Route.
type Setting = coserr.Setting
