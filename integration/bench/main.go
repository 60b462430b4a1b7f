//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if code, ok := runRole(os.Args[1:], os.Stdout, os.Stderr); ok {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// roles are the functions that this program runs as its own child process, by the
// first argument.
var roles = map[string]func(args []string, out io.Writer) error{
	"upstream":     runUpstream,
	"reverseproxy": runReverseProxy,
}

// runRole runs the role that the arguments name, if any. A signal ends it.
func runRole(args []string, out, errs io.Writer) (code int, ok bool) {
	if len(args) == 0 || roles[args[0]] == nil {
		return 0, false
	}
	if err := roles[args[0]](args[1:], out); err != nil {
		fmt.Fprintf(errs, "bench %s: %v\n", args[0], err)
		return 1, true
	}
	return 0, true
}

// run is the program. It returns the exit code: 1 after a failure, 2 for invalid
// arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	s, err := parseSettings(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 2
	}
	if err := compare(ctx, s, out, progress); err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 1
	}
	return 0
}

// compare starts the upstream, then measures the peers and prints the report, or
// writes the profile.
func compare(ctx context.Context, s *settings, out, progress io.Writer) error {
	bed, err := newTestbed(ctx, s)
	if err != nil {
		return err
	}
	defer bed.close()
	if s.pgo != "" {
		return writeProfile(ctx, bed, s, progress)
	}
	peers, missing, err := findPeers(ctx, bed, s)
	if err != nil {
		return err
	}
	for _, m := range missing {
		fmt.Fprintln(progress, "skipped:", m)
	}
	r := &recorder{failures: missing, load: loadAverage()}
	if err := measureRounds(ctx, bed, s, peers, r, progress); err != nil {
		return err
	}
	writeReport(out, s, peers, r)
	return r.failed
}
