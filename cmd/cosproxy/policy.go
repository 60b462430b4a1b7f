package main

import (
	"context"
	"encoding/json"
	"fmt"
)

const policyUsage = `cosproxy policy prints the CAM policy of each route's key as STS gets it. It needs
no network.

Usage:
  cosproxy policy

Exit codes: 0 the policies were printed, 1 one cannot be made, 2 arguments or
settings are wrong.
`

// runPolicy prints the CAM policy of each route as STS will get it. It
// needs no network.
func runPolicy(_ context.Context, args, environ []string, std streams) int {
	if code, ends := parseFlags(newFlags("policy"), args, policyUsage, std); ends {
		return code
	}
	cfg, ok := configOrProblems(environ, std.err)
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
			fmt.Fprintf(std.out, "# No policy is sent: %s.\n# To have COS hold it to the route as well, allow no more than this in CAM:\n", why)
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
