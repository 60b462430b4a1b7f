// Command cosproxy is a sidecar that signs plain HTTP requests for Tencent COS
// with temporary keys. It listens on loopback, takes every setting from the
// environment and serves its routes until SIGTERM, SIGINT or SIGHUP. The commands check,
// explain and policy say what the settings come to.
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
	exitFailure = 1 // something failed while running, requests were cut off, or a check found a fault
	exitUsage   = 2 // the arguments or the settings are wrong
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go endOnSignal(cancel)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), streams{os.Stdin, os.Stdout, os.Stderr}))
}

// endOnSignal has the first signal end the program in its own way, and another
// SIGINT or SIGTERM end it at once. SIGHUP counts unless the program was started
// with it ignored, as by nohup; a terminal that is closed may send several.
func endOnSignal(end func()) {
	signals := make(chan os.Signal, 4) // none may be lost
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	<-signals
	end()
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

// commands are the words that may stand first on the command line. Each gets
// what follows its word and returns the exit code.
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
		return inform(args, std)
	}
	signal.Ignore(syscall.SIGPIPE) // if nobody reads the log any more, writing it fails and that is all
	lines := newLogQueue(std.err)
	defer lines.close()
	cfg, ok := configured(environ, lines)
	if !ok {
		return exitUsage
	}
	log := lines.logger(cfg)
	defer logLibraries(log)()
	for _, warning := range cfg.warnings {
		log.Warn(warning)
	}
	if err := serve(ctx, cfg, log, lines); err != nil {
		log.Error("cosproxy failed", "error", err)
		return exitFailure
	}
	return exitOK
}

// configured reads the settings, or tells w of the mistakes in them.
func configured(environ []string, w io.Writer) (cfg *config, ok bool) {
	cfg, err := parseConfig(environ)
	if err == nil {
		return cfg, true
	}
	cfg.complain(err, w)
	return cfg, false
}

// complain tells of the mistakes in the settings.
func (c *config) complain(mistakes error, w io.Writer) {
	fmt.Fprintf(w, "cosproxy: the settings have mistakes:\n%v\n", mistakes)
	c.note(w)
	fmt.Fprintln(w, "Run cosproxy --help to see all settings.")
}

// note writes the warnings, where there is no log.
func (c *config) note(w io.Writer) {
	for _, warning := range c.warnings {
		fmt.Fprintln(w, "Note:", warning)
	}
}

func unexpected(std streams) int {
	fmt.Fprintln(std.err, "cosproxy: unexpected arguments, which are not repeated here, since one may be a secret\n"+
		"Run cosproxy --help to see what it takes; settings come from the environment.")
	return exitUsage
}
