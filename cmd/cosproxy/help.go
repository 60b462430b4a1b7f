package main

import (
	"fmt"
	"reflect"
	"strings"
)

// setting is what the tags of one field say.
type setting struct {
	field     string // Go name, unique among all
	variable  string // environment variable
	fallback  string // default; empty: none
	required  bool
	inherited bool // of a numbered route, from the short form
	example   string
	desc      string
}

// settings are all settings in the order of config.
func settings() []setting { return settingsIn(reflect.TypeFor[config](), "") }

// routeSettings are those of a route whose variables begin with begin.
func routeSettings(begin string) []setting {
	return settingsIn(reflect.TypeFor[routeConfig](), begin)
}

func settingsIn(t reflect.Type, begin string) []setting {
	var all []setting
	for f := range t.Fields() {
		name, tagged := f.Tag.Lookup("env")
		switch {
		case tagged:
			all = append(all, setting{
				field:     f.Name,
				variable:  begin + name,
				fallback:  f.Tag.Get("envDefault") + f.Tag.Get("default"),
				required:  f.Tag.Get("required") != "",
				inherited: f.Tag.Get("inherited") != "",
				example:   f.Tag.Get("example"),
				desc:      f.Tag.Get("desc"),
			})
		case f.IsExported():
			all = append(all, settingsIn(f.Type, begin+f.Tag.Get("envPrefix"))...)
		}
	}
	return all
}

// settingOf is the setting of a field: for fields of a route, of the short form.
func settingOf(field string) setting {
	for _, s := range settings() {
		if s.field == field {
			return s
		}
	}
	panic("cosproxy: there is no setting " + field)
}

// variable is the environment variable of a field.
func variable(field string) string { return settingOf(field).variable }

const usageHead = `cosproxy signs plain HTTP requests for Tencent COS with temporary keys.

Usage:
  cosproxy                   serve until SIGTERM, SIGINT or SIGHUP
  cosproxy check [--json]    fetch a key for each route, try it on COS, and say
                             what is wrong
  cosproxy explain ...       show how a request is signed, and why COS refused it
  cosproxy policy            print the CAM policy of each route's key
  cosproxy --help            show this text
  cosproxy COMMAND --help    show the flags and exit codes of a command
  cosproxy --help=markdown   show the settings as Markdown tables
  cosproxy --version         show the version

Example:
  COSPROXY_BUCKET=examplebucket-1250000000 COSPROXY_REGION=ap-guangzhou \
  COSPROXY_PREFIXES='uploads/*' COSPROXY_ACTIONS=read,upload \
  TENCENTCLOUD_SECRET_ID_FILE=id TENCENTCLOUD_SECRET_KEY_FILE=key cosproxy &
  curl -T photo.jpg http://127.0.0.1:4360/uploads/photo.jpg

Exit codes: 0 after a clean stop, 1 after a failure or when requests were cut
off or a check found something wrong, 2 when the arguments or settings are wrong.

HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured on the way to COS and STS.

Settings, all from the environment:
`

const usageRoutes = `
Several routes instead of one, numbered <n> from 0 without a gap. What each
means stands above:
`

// usage is the text of --help.
func usage() string {
	var b strings.Builder
	b.WriteString(usageHead)
	for _, s := range settings() {
		b.WriteString("\n  " + s.variable + s.initial(" (%s)", " (default %s)") + "\n" + wrap(s.desc, "      ", 78))
	}
	b.WriteString(usageRoutes)
	for _, s := range numberedSettings() {
		b.WriteString("\n  " + s.variable + s.initial(" (%s)", " (default %s)"))
	}
	return b.String() + "\n"
}

// numberedSettings are those of any one of several routes.
func numberedSettings() []setting {
	all := routeSettings(routesPrefix + "<n>_")
	for i, s := range all {
		if s.inherited {
			all[i].required, all[i].fallback = false, variable(s.field)
		}
	}
	return all
}

// initial says with one of two formats what holds if s is not set.
func (s setting) initial(required, fallback string) string {
	switch {
	case s.required:
		return fmt.Sprintf(required, "required")
	case s.fallback != "":
		return fmt.Sprintf(fallback, s.fallback)
	}
	return ""
}

// wrap breaks text into lines of at most width bytes, each with indent.
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

// settingsMarkdown are the tables that README.md shows.
func settingsMarkdown() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range settings() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.variable, s.initial("%s", "`%s`"), strings.ReplaceAll(s.desc, "'", "`"))
	}
	b.WriteString("\nSeveral routes instead of one are numbered `<n>` from 0 without a gap. What each\n" +
		"setting means stands above:\n\n| variable | default |\n|---|---|\n")
	for _, s := range numberedSettings() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.variable, s.initial("%s", "`%s`"))
	}
	return b.String()
}
