package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const healthcheckUsage = `cosproxy healthcheck asks the cosproxy that runs with the same settings whether it is
healthy, for exec probes of Kubernetes and HEALTHCHECK of Docker.

Usage:
  cosproxy healthcheck [--wait TIME] [livez|readyz]

  livez        the process runs
  readyz       all routes have valid credentials, and cosproxy is not shutting down
               (default); of cosproxy issuer: callers can authenticate
  --wait TIME  repeat the request until it succeeds, for at most this time, such as 30s

It connects to COSPROXY_HEALTH_LISTEN or, if this is not set, to COSPROXY_ADMIN_LISTEN,
on this machine only. It needs no other setting and reads no file. An attempt takes at
most 4 s. Over TLS, it does not verify the certificate: it sends no secret.

Exit codes: 0 healthy, 1 not healthy (standard error has the reason), 2 invalid
arguments or settings.
`

const waitUsage = `cosproxy wait waits until cosproxy or cosproxy issuer is ready, for start scripts. It
is short for cosproxy healthcheck --wait 1m readyz.

Usage:
  cosproxy wait [--timeout TIME]

  --timeout TIME  wait for at most this time (default 1m)

Exit codes: 0 ready, 1 not ready in time (standard error has the reason), 2 invalid
arguments or settings.
`

// defaultWait is the default timeout of cosproxy wait.
const defaultWait = time.Minute

// runHealthcheck requests a probe from the cosproxy with the same settings.
func runHealthcheck(ctx context.Context, args, environ []string, std streams) int {
	flags := newFlags("healthcheck")
	wait := flags.Duration("wait", 0, "")
	words, err := parseAnyOrder(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.out, healthcheckUsage)
		return exitOK
	}
	page := "readyz"
	if len(words) > 0 {
		page = words[0]
	}
	if err != nil || *wait < 0 || len(words) > 1 || !slices.Contains([]string{"livez", "readyz"}, page) {
		return unexpectedArguments(std)
	}
	return awaitHealth(ctx, "healthcheck", page, *wait, environ, std)
}

// runWait waits until the cosproxy with the same settings is ready.
func runWait(ctx context.Context, args, environ []string, std streams) int {
	flags := newFlags("wait")
	timeout := flags.Duration("timeout", defaultWait, "")
	if code, ends := parseFlags(flags, args, waitUsage, std); ends {
		return code
	}
	if *timeout <= 0 {
		return unexpectedArguments(std)
	}
	return awaitHealth(ctx, "wait", "readyz", *timeout, environ, std)
}

// parseAnyOrder parses flags before, between and after words, and returns the words.
func parseAnyOrder(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return words, err
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

// awaitHealth requests a page until its status is 200, for at most wait; zero: once. It
// returns the exit code.
func awaitHealth(ctx context.Context, command, page string, wait time.Duration, environ []string, std streams) int {
	l, err := healthListener(environ)
	if err != nil {
		return fail(std, command, err, exitUsage)
	}
	err = poll(ctx, wait, func(ctx context.Context) error {
		status, text, err := l.request(ctx, http.MethodGet, "/"+page, "")
		if err != nil {
			return err
		}
		return l.unhealthy(page, status, text)
	})
	if err != nil {
		return fail(std, command, err, exitFailure)
	}
	return exitOK
}

// healthListener returns the listener for probes.
func healthListener(environ []string) (*runningListener, error) {
	c, err := parseOnly(environ, "HealthListen", "AdminListen", "TLSCertFile")
	switch {
	case err != nil:
		return nil, err
	case c.HealthListen != address{}:
		return newRunningListener(c, "HealthListen", c.HealthListen, "HealthListen")
	}
	return newRunningListener(c, "AdminListen", c.AdminListen, "HealthListen")
}

// unhealthy returns nil for status 200, and otherwise the reason.
func (l *runningListener) unhealthy(page string, status int, text string) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusServiceUnavailable && text != "":
		return fmt.Errorf("%s is %d: %s", page, status, text)
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("%s is %d; the reason is in the log of cosproxy, and at /readyz of %s", page, status, variable("AdminListen"))
	}
	return fmt.Errorf("%s: /%s has status %d; check that this is the address of cosproxy", l.name, page, status)
}

// fail prints why a command failed, on one line, and returns code.
func fail(std streams, command string, err error, code int) int {
	fmt.Fprintf(std.err, "cosproxy %s: %s\n", command, oneLine(err.Error()))
	return code
}
