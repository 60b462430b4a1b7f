// Command cosproxy is a sidecar that signs plain HTTP requests for Tencent COS with
// temporary credentials. It listens on loopback, reads all settings from the environment
// and serves its routes until SIGTERM, SIGINT or SIGHUP. The commands check, explain and
// policy diagnose a configuration; healthcheck, wait and quit talk to the cosproxy that runs
// with it; manifest prints files that run it elsewhere.
//
// Settings pass through three stages: parse reads the environment, validate checks the
// values, and resolve reads the files that they refer to. Only resolve does I/O. Run
// cosproxy --help for a list of the settings.
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
	exitFailure = 1 // a failure, canceled requests, or a failed check
	exitUsage   = 2 // invalid arguments or settings
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go cancelOnSignal(cancel)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), streams{os.Stdin, os.Stdout, os.Stderr}))
}

// cancelOnSignal calls cancel on the first signal, and exits on a further SIGINT or
// SIGTERM. It handles SIGHUP unless the program was started with SIGHUP ignored, as by
// nohup. A further SIGHUP has no effect, since closing a terminal may send several.
func cancelOnSignal(cancel func()) {
	signals := make(chan os.Signal, 4) // so that no signal is lost
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

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// commands maps names to subcommands. A subcommand gets the arguments after its name and
// returns the exit code.
var commands = map[string]func(ctx context.Context, args, environ []string, std streams) int{
	"check":   runCheck,
	"explain": runExplain,
	"issuer":  runIssuer,
	"policy":  runPolicy,

	"healthcheck": runHealthcheck,
	"wait":        runWait,
	"quit":        runQuit,

	"manifest": runManifest,
}

// run is the whole program. Without arguments it serves until ctx ends. It returns the
// exit code.
func run(ctx context.Context, args, environ []string, std streams) int {
	if len(args) > 0 {
		if command := commands[args[0]]; command != nil {
			return command(ctx, args[1:], environ, std)
		}
		return printInfo(args, std)
	}
	signal.Ignore(syscall.SIGPIPE) // without a reader of the log, only writes to the log fail
	lines := newLogQueue(std.err)
	defer lines.close()
	cfg, ok := loadOrPrint(environ, lines)
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

// loadOrPrint loads the settings and, if they are invalid, prints their problems to w.
func loadOrPrint(environ []string, w io.Writer) (cfg *resolved, ok bool) {
	cfg, err := loadConfig(environ)
	if err != nil {
		cfg.printProblems(err, w)
	}
	return cfg, err == nil
}

// printProblems prints the problems and the warnings of the settings.
func (c *resolved) printProblems(problems error, w io.Writer) {
	fmt.Fprintf(w, "cosproxy: invalid configuration:\n%v\n", problems)
	c.printWarnings(w)
	fmt.Fprintln(w, "Run cosproxy --help for a list of the settings.")
}

// printWarnings prints the warnings for commands that write no log.
func (c *resolved) printWarnings(w io.Writer) {
	for _, warning := range c.warnings {
		fmt.Fprintln(w, "Warning:", warning)
	}
}

func unexpectedArguments(std streams) int {
	fmt.Fprintln(std.err, "cosproxy: unexpected arguments (not shown, since they may contain a secret)\n"+
		"Run cosproxy --help for usage; settings are read from the environment.")
	return exitUsage
}
