package main

import (
	"fmt"
	"reflect"
	"strings"
)

// setting is what the tags of one field of config say.
type setting struct {
	field    string // Go name
	variable string // environment variable
	fallback string // default; empty: none
	required bool
	example  string
	desc     string
}

// settings are all settings in the order of config.
func settings() []setting {
	var all []setting
	for f := range reflect.TypeFor[config]().Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		if name == "" {
			continue
		}
		all = append(all, setting{
			field:    f.Name,
			variable: name,
			fallback: f.Tag.Get("envDefault"),
			required: options == "notEmpty",
			example:  f.Tag.Get("example"),
			desc:     f.Tag.Get("desc"),
		})
	}
	return all
}

// variable is the environment variable of a field of config.
func variable(field string) string {
	for _, s := range settings() {
		if s.field == field {
			return s.variable
		}
	}
	panic("cosproxy: config has no field " + field)
}

const usageHead = `cosproxy signs plain HTTP requests for Tencent COS with temporary keys.

Usage:
  cosproxy                   serve until SIGTERM or SIGINT
  cosproxy --help            show this text
  cosproxy --help=markdown   show the settings as a Markdown table
  cosproxy --version         show the version

Example:
  COSPROXY_BUCKET=examplebucket-1250000000 COSPROXY_REGION=ap-guangzhou \
  COSPROXY_PREFIXES='uploads/*' COSPROXY_ACTIONS=read,upload \
  TENCENTCLOUD_SECRET_ID_FILE=id TENCENTCLOUD_SECRET_KEY_FILE=key cosproxy &
  curl -T photo.jpg http://127.0.0.1:4360/uploads/photo.jpg

Exit codes: 0 after a clean stop, 1 after a failure or when requests were cut
off, 2 when the arguments or settings are wrong.

HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured on the way to COS and STS.

Settings, all from the environment:
`

// usage is the text of --help.
func usage() string {
	var b strings.Builder
	b.WriteString(usageHead)
	for _, s := range settings() {
		b.WriteString("\n  " + s.variable)
		switch {
		case s.required:
			b.WriteString(" (required)")
		case s.fallback != "":
			b.WriteString(" (default " + s.fallback + ")")
		}
		b.WriteString("\n" + wrap(s.desc, "      ", 78))
	}
	return b.String()
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

// settingsMarkdown is the table that README.md shows.
func settingsMarkdown() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range settings() {
		value := ""
		switch {
		case s.required:
			value = "required"
		case s.fallback != "":
			value = "`" + s.fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.variable, value, strings.ReplaceAll(s.desc, "'", "`"))
	}
	return b.String()
}
