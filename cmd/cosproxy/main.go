// Command cosproxy is a sidecar that signs plain HTTP requests for Tencent COS
// with temporary keys. It listens on loopback, takes every setting from the
// environment and serves one bucket until SIGTERM or SIGINT.
//
// Start it with --help to see the settings.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something failed while running, or requests were cut off
	exitUsage   = 2 // the arguments or the settings are wrong
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2) // neither signal may be lost
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailure)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the whole program: it serves until ctx ends and returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		return inform(args, stdout, stderr)
	}
	cfg, err := parseConfig(environ)
	if err != nil {
		fmt.Fprintf(stderr, "cosproxy: the settings have mistakes:\n%v\n", err)
		for _, warning := range cfg.warnings {
			fmt.Fprintln(stderr, "Note:", warning)
		}
		fmt.Fprintln(stderr, "Run cosproxy --help to see all settings.")
		return exitUsage
	}
	log := cfg.logger(stderr)
	for _, warning := range cfg.warnings {
		log.Warn(warning)
	}
	if err := serve(ctx, cfg, log); err != nil {
		log.Error("cosproxy failed", "error", err)
		return exitFailure
	}
	return exitOK
}

// inform answers the flags that print something and end.
func inform(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 {
		switch args[0] {
		case "--help", "-help", "-h":
			fmt.Fprint(stdout, usage())
			return exitOK
		case "--help=markdown":
			fmt.Fprint(stdout, settingsMarkdown())
			return exitOK
		case "--version", "-version":
			fmt.Fprintln(stdout, "cosproxy", version())
			return exitOK
		}
	}
	fmt.Fprintf(stderr, "cosproxy: unexpected arguments %q\n"+
		"It takes --help or --version and nothing else; settings come from the environment.\n", args)
	return exitUsage
}
