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

const usage = `cosemu is a local Tencent COS and STS that check everything, without an account.

usage: cosemu [flags]                 serve until SIGINT, SIGTERM or SIGHUP
       cosemu [flags] -- CMD ARGS...  serve while CMD runs

CMD gets the environment that cosproxy needs. COSPROXY_BUCKET, COSPROXY_REGION,
COSPROXY_ALLOW_PREFIXES and COSPROXY_ALLOW_ACTIONS keep the values they have, and
so do the COSPROXY_ROUTES_<n>_ variables, whose buckets are served; all that leads
to keys does not, so that no real key is used. COSEMU_COS_ADDR (dial it for every
bucket's host) and COSEMU_STS_URL are for other COS programs.

flags:
`

const exitCodes = `
exit code: that of CMD, 128+n when signal n ended it, 127 when it is not found, 126
when it cannot be run, 2 on wrong usage, 1 on other failures, 0 after a signal
when there is no CMD.
`

// config is what flags and environment ask for.
type config struct {
	options cosemu.Options
	source  string
	command []string
}

// run is the program: it returns the exit code.
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
	if !signal.Ignored(syscall.SIGHUP) { // nohup keeps its meaning
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
	defer closing(stderr, srv.Close)
	env := childEnvironment(environ, c.options, srv)
	keys, err := openSource(c.source, &env, c.options, srv, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "cosemu: %v\n", err)
		return exitFailure
	}
	defer closing(stderr, keys.close)
	if len(c.command) > 0 {
		return runCommand(ctx, c.command, env, signals, stdin, stdout, stderr)
	}
	announce(stdout, c.options, env, srv)
	select {
	case <-signals:
	case <-ctx.Done():
	}
	return 0
}

func closing(stderr io.Writer, closeIt func() error) {
	if err := closeIt(); err != nil {
		fmt.Fprintf(stderr, "cosemu: closing: %v\n", err)
	}
}

// parse reads the command line. Buckets and region of the environment are served
// too, since CMD will use them.
func parse(args, environ []string, stdout io.Writer) (config, error) {
	flags := flag.NewFlagSet("cosemu", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	buckets := flags.String("bucket", "", "`buckets` to create, with APPID, comma-separated (default COSPROXY_BUCKET, or "+defaultBucket+")")
	region := flags.String("region", "", "`region` of the buckets (default COSPROXY_REGION, or "+defaultRegion+")")
	cosListen := flags.String("cos-listen", "127.0.0.1:0", "`host:port` of COS; port 0 picks a free one")
	stsListen := flags.String("sts-listen", "127.0.0.1:0", "`host:port` of STS; port 0 picks a free one")
	keyLife := flags.Duration("key-life", 0, "`life` of every temporary key, such as 5s (default as asked for)")
	source := flags.String("source", "", "`source` that CMD gets keys from: "+strings.Join(sources, ", ")+" (default the account's long-lived pair, for sts)")
	strict := flags.Bool("strict", true, "strict signature mode: refuse parameters and x-cos-* headers that are not signed; -strict=false\ntakes them, as COS does by default and clients that leave the token unsigned need")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, usage)
			flags.SetOutput(stdout)
			flags.PrintDefaults()
			fmt.Fprint(stdout, exitCodes)
		}
		return config{}, err
	}
	if *keyLife < 0 {
		return config{}, fmt.Errorf("-key-life %s: write how long a key lives, such as 5s", *keyLife)
	}
	if err := checkSource(*source); err != nil {
		return config{}, err
	}
	names, where, err := served(*buckets, *region, environ)
	if err != nil {
		return config{}, err
	}
	return config{
		options: cosemu.Options{
			Buckets: names, Region: where, COSListen: *cosListen, STSListen: *stsListen,
			CredentialsDuration: *keyLife, StrictSignature: *strict,
			Roles: []cosemu.Role{newRole()}, CredentialsServerToken: rand.Text(),
		},
		source:  *source,
		command: flags.Args(),
	}, nil
}

// announce tells a person where the servers are and how to use them.
func announce(w io.Writer, o cosemu.Options, env environment, srv *cosemu.Server) {
	fmt.Fprintf(w, "# COS on %s, STS on %s\n", srv.COSAddr(), srv.STSURL())
	for _, name := range env.ours {
		fmt.Fprintf(w, "export %s=%s\n", name, quote(env.get(name)))
	}
	fmt.Fprintf(w, "# serving %v in %s; stop with Ctrl-C\n", o.Buckets, o.Region)
}
