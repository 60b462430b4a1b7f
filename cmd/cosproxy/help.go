package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

const usageHead = `cosproxy signs plain HTTP requests for Tencent COS with temporary credentials.

Usage:
  cosproxy                   serve until SIGTERM, SIGINT or SIGHUP
  cosproxy check [--json]    test the credentials of each route with a request to
                             COS, and report problems
  cosproxy explain ...       show how a request is signed, and why COS rejected it
  cosproxy policy            print the CAM policy of each route's credentials
  cosproxy manifest KIND     print files for kubernetes, kustomize, systemd, compose
                             or quadlet that run cosproxy with these settings
  cosproxy issuer            give credentials to many sidecars
  cosproxy healthcheck       ask the running cosproxy whether it is healthy
  cosproxy wait              wait until the running cosproxy is ready
  cosproxy quit              shut down the running cosproxy, at the end of a Job
  cosproxy --help            show this text
  cosproxy COMMAND --help    show the flags and exit codes of a command
  cosproxy --help=markdown   show the settings as Markdown tables
  cosproxy --version         show the version

Example:
  COSPROXY_BUCKET=examplebucket-1250000000 COSPROXY_REGION=ap-guangzhou \
  COSPROXY_ALLOW_PREFIXES='uploads/*' COSPROXY_ALLOW_ACTIONS=read,upload \
  TENCENTCLOUD_SECRET_ID_FILE=id TENCENTCLOUD_SECRET_KEY_FILE=key cosproxy &
  curl -T photo.jpg http://127.0.0.1:4360/uploads/photo.jpg

Exit codes: 0 after a clean shutdown, 1 after a failure, canceled requests or a
failed check, 2 for invalid arguments or settings.

HTTP_PROXY, HTTPS_PROXY and NO_PROXY apply to requests to COS (not with
COSPROXY_CONNECT_TO), STS and the credentials server of the source http. They do
not apply to loopback addresses and to the metadata service of the source cvm.

Settings (environment variables):
`

const usageRoutes = `
Several routes are numbered <n>, from 0 without gaps. Their settings have the
same meaning as above:
`

// usage returns the text of --help.
func usage() string {
	var b strings.Builder
	b.WriteString(usageHead)
	basic, advanced := splitSettings()
	writeUsage(&b, basic)
	b.WriteString(usageAdvanced)
	writeUsage(&b, advanced)
	b.WriteString(usageIssuer)
	writeUsage(&b, issuerSettings())
	b.WriteString(usageRoutes)
	for _, s := range numberedSettings() {
		b.WriteString("\n  " + s.variable + s.initial(" (%s)", " (default %s)"))
	}
	return b.String() + "\n"
}

// numberedSettings returns the settings of one of several routes.
func numberedSettings() []setting {
	all := routeSettings(routesPrefix + "<n>_")
	for i, s := range all {
		if s.inherited {
			all[i].required, all[i].fallback = false, variable(s.field)
		}
	}
	return all
}

// initial describes the value of a setting that is not set, with one of two formats.
func (s setting) initial(required, fallback string) string {
	switch {
	case s.required:
		return fmt.Sprintf(required, "required")
	case s.fallback != "":
		return fmt.Sprintf(fallback, s.fallback)
	}
	return ""
}

// wrap breaks text into lines of at most width bytes, each prefixed with indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && len(line)+len(word) >= width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}

// settingsMarkdown returns the tables for README.md.
func settingsMarkdown() string {
	var b strings.Builder
	basic, advanced := splitSettings()
	writeTable(&b, basic)
	b.WriteString("\n### Advanced settings\n\n")
	writeTable(&b, advanced)
	b.WriteString("\n### Issuer settings\n\n")
	writeTable(&b, issuerSettings())
	b.WriteString("\nSeveral routes are numbered `<n>`, from 0 without gaps. Their settings have the same\n" +
		"meaning as above:\n\n| variable | default |\n|---|---|\n")
	for _, s := range numberedSettings() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.variable, s.initial("%s", "`%s`"))
	}
	return b.String()
}

// newFlags returns a flag set that prints nothing. Package flag accepts one dash and two
// dashes alike.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parseFlags parses the arguments of a command that accepts only flags. If they are
// invalid or request help, ends is true and code is the exit code.
func parseFlags(flags *flag.FlagSet, args []string, usage string, std streams) (code int, ends bool) {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(std.out, usage)
		return exitOK, true
	case err != nil || flags.NArg() > 0:
		return unexpectedArguments(std), true
	}
	return exitOK, false
}

// printInfo handles --help and --version.
func printInfo(args []string, std streams) int {
	flags := newFlags("cosproxy")
	text := ""
	flags.BoolFunc("help", "", func(form string) error {
		switch form {
		case "true":
			text = usage()
		case "markdown":
			text = settingsMarkdown()
		default:
			return errors.New("unknown form")
		}
		return nil
	})
	flags.BoolFunc("version", "", func(string) error {
		text = fmt.Sprintln("cosproxy", version())
		return nil
	})
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) { // -h
		text, err = usage(), nil
	}
	if err != nil || text == "" || flags.NArg() > 0 || flags.NFlag() > 1 {
		return unexpectedArguments(std)
	}
	fmt.Fprint(std.out, text)
	return exitOK
}

// version returns the version of the module, which the go command takes from the tag or
// commit, and the Go release.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown version)"
	}
	return info.Main.Version + " " + info.GoVersion
}
