package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

const policyUsage = `cosproxy policy prints the CAM policy of each route's credentials as it is sent to
STS. If the credentials of one role assume a second role, it also prints the policies
that both roles need. It does not use the network.

Usage:
  cosproxy policy

Exit codes: 0 the policies were printed, 1 a policy cannot be built, 2 invalid
arguments or settings.
`

// runPolicy prints the CAM policy of each route as it is sent to STS, and those of two roles
// of which the first assumes the second. It does not use the network.
func runPolicy(_ context.Context, args, environ []string, std streams) int {
	if code, ends := parseFlags(newFlags("policy"), args, policyUsage, std); ends {
		return code
	}
	cfg, err := loadAnyConfig(environ)
	if err != nil {
		cfg.printProblems(err, std.err)
		return exitUsage
	}
	cfg.printWarnings(std.err)
	enc := json.NewEncoder(std.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	var chained []string
	for _, r := range cfg.routes {
		fmt.Fprintf(std.out, "# route %s, source %s\n", r.name, cfg.Source.describeSource(r.Source))
		if kind, _ := cfg.Source.kindOf(r.Source); kind.unscoped != "" {
			fmt.Fprintf(std.out, "# This source sends no policy: %s.\n# To let COS enforce the limits of the route too, grant no more than this in CAM:\n", kind.unscoped)
		}
		if cfg.Source.chained(r.Source) && !slices.Contains(chained, r.Source) {
			chained = append(chained, r.Source)
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
	for _, source := range chained {
		if err := cfg.Source.writeRolePolicies(std.out, enc, source); err != nil {
			fmt.Fprintln(std.err, "cosproxy:", err)
			return exitFailure
		}
	}
	return exitOK
}
