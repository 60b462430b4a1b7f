package main

import (
	"context"
	"encoding/json"
	"fmt"
)

const policyUsage = `cosproxy policy prints the CAM policy of each route's credentials as it is sent to
STS. It does not use the network.

Usage:
  cosproxy policy

Exit codes: 0 the policies were printed, 1 a policy cannot be built, 2 invalid
arguments or settings.
`

// runPolicy prints the CAM policy of each route as it is sent to STS. It does not use the
// network.
func runPolicy(_ context.Context, args, environ []string, std streams) int {
	if code, ends := parseFlags(newFlags("policy"), args, policyUsage, std); ends {
		return code
	}
	cfg, ok := loadOrPrint(environ, std.err)
	if !ok {
		return exitUsage
	}
	cfg.printWarnings(std.err)
	enc := json.NewEncoder(std.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	for _, r := range cfg.routes {
		fmt.Fprintf(std.out, "# route %s, source %s\n", r.name, r.Source)
		if why := sourceKinds[r.Source].unscoped; why != "" {
			fmt.Fprintf(std.out, "# This source sends no policy: %s.\n# To let COS enforce the limits of the route too, grant no more than this in CAM:\n", why)
		}
		policy, err := r.scope().Policy()
		if err == nil {
			err = enc.Encode(policy)
		}
		if err != nil {
			fmt.Fprintln(std.err, "cosproxy:", err)
			return exitFailure
		}
	}
	return exitOK
}
