// Command cosproxy is a sidecar that signs plain HTTP requests for Tencent COS
// with temporary keys. It listens on loopback, takes every setting from the
// environment and serves its routes until SIGTERM, SIGINT or SIGHUP. The commands
// check, explain and policy show what the settings lead to.
//
// Settings pass through three stages: parse reads them, validate checks them, and
// resolve reads the files that they name; only the last does I/O. Start it with
// --help to see the settings.
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
	exitFailure = 1 // something failed while running, requests were cut off, or a check found a fault
	exitUsage   = 2 // the arguments or the settings are wrong
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go cancelOnSignal(cancel)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), streams{os.Stdin, os.Stdout, os.Stderr}))
}

// cancelOnSignal calls cancel on the first signal, and exits on another SIGINT or
// SIGTERM. SIGHUP counts unless the program was started
// with it ignored, as by nohup; a terminal that is closed may send several.
func cancelOnSignal(cancel func()) {
	signals := make(chan os.Signal, 4) // none may be lost
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	<-signals
	cancel()
	for s := range signals {
		if s != syscall.SIGHUP {
			os.Exit(exitFailure)
		}
	}
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// commands are the subcommands. Each gets the arguments after its name and returns
// the exit code.
var commands = map[string]func(ctx context.Context, args, environ []string, std streams) int{
	"check":   runCheck,
	"explain": runExplain,
	"policy":  runPolicy,
}

// run is the whole program: without arguments it serves until ctx ends. It
// returns the exit code.
func run(ctx context.Context, args, environ []string, std streams) int {
	if len(args) > 0 {
		if command := commands[args[0]]; command != nil {
			return command(ctx, args[1:], environ, std)
		}
		return printInfo(args, std)
	}
	signal.Ignore(syscall.SIGPIPE) // where the log is no longer read, writing it fails and nothing else
	lines := newLogQueue(std.err)
	defer lines.close()
	cfg, ok := configOrProblems(environ, lines)
	if !ok {
		return exitUsage
	}
	log := lines.logger(&cfg.config)
	defer logLibraries(log)()
	for _, warning := range cfg.warnings {
		log.Warn(warning)
	}
	if err := serve(ctx, cfg, log, lines); err != nil {
		log.Error("cosproxy failed", "error.message", err)
		return exitFailure
	}
	return exitOK
}

// configOrProblems loads the settings, or prints what is wrong with them to w.
func configOrProblems(environ []string, w io.Writer) (cfg *resolved, ok bool) {
	cfg, err := loadConfig(environ)
	if err != nil {
		cfg.printProblems(err, w)
	}
	return cfg, err == nil
}

// printProblems prints what is wrong with the settings, and their warnings.
func (c *resolved) printProblems(problems error, w io.Writer) {
	fmt.Fprintf(w, "cosproxy: the settings have mistakes:\n%v\n", problems)
	c.printWarnings(w)
	fmt.Fprintln(w, "Run cosproxy --help to see all settings.")
}

// printWarnings prints the warnings, where there is no log.
func (c *resolved) printWarnings(w io.Writer) {
	for _, warning := range c.warnings {
		fmt.Fprintln(w, "Note:", warning)
	}
}

func unexpectedArguments(std streams) int {
	fmt.Fprintln(std.err, "cosproxy: unexpected arguments, which are not repeated here, since one may be a secret\n"+
		"Run cosproxy --help to see what it takes; settings come from the environment.")
	return exitUsage
}
