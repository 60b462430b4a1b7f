// Command cosemu runs a local COS and STS that verify every request, alone or
// together with another program.
//
//	cosemu [flags]                  serve until a signal
//	cosemu [flags] -- CMD ARGS...   serve while CMD runs
//
// CMD gets the environment that cosproxy needs to use the emulator. cosemu forwards
// SIGINT, SIGTERM and SIGHUP to CMD and exits with its exit code. It does not
// forward a SIGINT in the foreground of a terminal: that is a Ctrl-C, which the
// terminal sends to CMD as well.
//
// See cosemu --help for flags and exit codes.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
