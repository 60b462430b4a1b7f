package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"cosproxy/integration/cosemu"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

const usage = `cosemu emulates Tencent COS and STS on this machine. It verifies every request and
needs no account.

usage: cosemu [flags]                 serve until SIGINT, SIGTERM or SIGHUP
       cosemu [flags] -- CMD ARGS...  serve while CMD runs

CMD gets the environment that cosproxy needs. COSPROXY_BUCKET, COSPROXY_REGION,
COSPROXY_ALLOW_PREFIXES, COSPROXY_ALLOW_ACTIONS and COSPROXY_ROUTES_<n>_* keep their
values, and cosemu serves their buckets. It removes the variables of credential
sources, so that CMD cannot use real credentials. For other COS programs, it sets
COSEMU_COS_ADDR (dial it for the host of every bucket) and COSEMU_STS_URL.

flags:
`

const exitCodes = `
exit code: that of CMD; 128+n if signal n ended CMD; 127 if CMD is not found; 126 if
CMD cannot be run; 2 for invalid arguments; 1 for other failures; 0 after a signal
without CMD.
`

// config holds the result of flags and environment.
type config struct {
	options cosemu.Options
	source  string
	command []string
}

// run is the program. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c, err := parse(args, environ, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "cosemu: %v\ntry: cosemu --help\n", err)
		return exitUsage
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // it is with nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)

	srv, err := cosemu.Start(c.options)
	if err != nil {
		fmt.Fprintln(stderr, err)
		if errors.Is(err, cosemu.ErrBucketName) {
			return exitUsage
		}
		return exitFailure
	}
	defer closeAndReport(stderr, srv.Close)
	env := childEnvironment(environ, c.options, srv)
	source, err := openSource(c.source, &env, c.options, srv, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "cosemu: %v\n", err)
		return exitFailure
	}
	defer closeAndReport(stderr, source.close)
	if len(c.command) > 0 {
		return runCommand(ctx, c.command, env, signals, stdin, stdout, stderr)
	}
	printEnvironment(stdout, c.options, env, srv)
	select {
	case <-signals:
	case <-ctx.Done():
	}
	return 0
}

func closeAndReport(stderr io.Writer, closer func() error) {
	if err := closer(); err != nil {
		fmt.Fprintf(stderr, "cosemu: closing: %v\n", err)
	}
}

// parse parses the command line. The buckets and the region of the environment are
// served too, since CMD uses them.
func parse(args, environ []string, stdout io.Writer) (config, error) {
	flags := flag.NewFlagSet("cosemu", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	buckets := flags.String("bucket", "", "`buckets` to create, with APPID, comma-separated (default COSPROXY_BUCKET, or "+defaultBucket+")")
	region := flags.String("region", "", "`region` of the buckets (default COSPROXY_REGION, or "+defaultRegion+")")
	cosListen := flags.String("cos-listen", "127.0.0.1:0", "`host:port` of COS; port 0 picks a free one")
	stsListen := flags.String("sts-listen", "127.0.0.1:0", "`host:port` of STS; port 0 picks a free one")
	duration := flags.Duration("credentials-duration", 0, "lifetime of all temporary credentials, a `duration` such as 5s (default as requested)")
	source := flags.String("source", "", "`source` of CMD's credentials: "+strings.Join(sources, ", ")+" (default: the long-lived key pair of the account, for sts)")
	strict := flags.Bool("strict", true, "strict signature mode: reject unsigned parameters and x-cos-* headers; -strict=false accepts\nthem, as COS does by default. Clients that do not sign the session token need it")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, usage)
			flags.SetOutput(stdout)
			flags.PrintDefaults()
			fmt.Fprint(stdout, exitCodes)
		}
		return config{}, err
	}
	if *duration < 0 {
		return config{}, fmt.Errorf("-credentials-duration %s: use a positive duration, such as 5s", *duration)
	}
	if err := checkSource(*source); err != nil {
		return config{}, err
	}
	servedNames, servedRegion, err := servedBuckets(*buckets, *region, environ)
	if err != nil {
		return config{}, err
	}
	return config{
		options: cosemu.Options{
			Buckets: servedNames, Region: servedRegion, COSListen: *cosListen, STSListen: *stsListen,
			CredentialsDuration: *duration, StrictSignature: *strict,
			Roles: newRoles(*source, servedRegion), CredentialsServerToken: rand.Text(),
		},
		source:  *source,
		command: flags.Args(),
	}, nil
}

// printEnvironment prints the addresses and the environment for a shell.
func printEnvironment(w io.Writer, o cosemu.Options, env environment, srv *cosemu.Server) {
	fmt.Fprintf(w, "# COS on %s, STS on %s\n", srv.COSAddr(), srv.STSURL())
	for _, name := range env.names {
		fmt.Fprintf(w, "export %s=%s\n", name, quote(env.get(name)))
	}
	fmt.Fprintf(w, "# serving %v in %s; stop with Ctrl-C\n", o.Buckets, o.Region)
}
