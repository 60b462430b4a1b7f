package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// runPolicy prints the CAM policy of each route as STS will get it. It asks
// nobody.
func runPolicy(_ context.Context, args, environ []string, std streams) int {
	if len(args) > 0 {
		return unexpected(append([]string{"policy"}, args...), std)
	}
	cfg, ok := configured(environ, std.err)
	if !ok {
		return exitUsage
	}
	cfg.note(std.err)
	enc := json.NewEncoder(std.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	for _, r := range cfg.routes {
		fmt.Fprintf(std.out, "# route %s, source %s\n", r.name, r.Source)
		if wide := sourceKinds[r.Source].wide; wide != "" {
			fmt.Fprintf(std.out, "# No policy is sent: %s.\n# To have COS hold it to the route as well, allow no more than this in CAM:\n", wide)
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
