package proxy

import "cosproxy/proxy/internal/coserr"

// Setting names what an operator can change: a field of Options (Limits.BodyBytes,
// Upstream.ConnectTo) or of the Route that it names.
type Setting = coserr.Setting
