// Command cosemu runs a local COS and STS that check everything, alone or around
// another program.
//
//	cosemu [flags]                  serve until a signal comes
//	cosemu [flags] -- CMD ARGS...   serve while CMD runs
//
// With CMD, it gives CMD the environment that cosproxy needs to use it, passes
// SIGINT, SIGTERM and SIGHUP on and exits with CMD's code. A SIGINT that comes
// while cosemu is in the foreground of a terminal is not passed on: it is taken
// for a Ctrl-C, which the terminal sends to CMD as well.
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
