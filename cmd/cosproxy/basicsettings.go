package main

import (
	"fmt"
	"slices"
	"strings"
)

// basicFields are the fields of the settings that most installations use. --help and
// the manual show them first, and all others as advanced.
var basicFields = []string{
	"Bucket", "Region", "AllowPrefixes", "AllowActions", "Source",
	"SecretID", "SecretIDFile", "SecretKey", "SecretKeyFile", "RoleARN",
	"Listen", "AdminListen", "ClientTokenFile", "LogFormat", "LogLevel",
}

const usageAdvanced = `
Advanced settings, whose defaults suit most installations:
`

const usageIssuer = `
Settings of cosproxy issuer:
`

// splitSettings returns the basic and the advanced settings, each in the order of config.
// Those of cosproxy issuer are among neither.
func splitSettings() (basic, advanced []setting) {
	for _, s := range settings() {
		switch {
		case slices.Contains(basicFields, s.field):
			basic = append(basic, s)
		case !isIssuerField(s.field):
			advanced = append(advanced, s)
		}
	}
	return basic, advanced
}

// issuerSettings returns the settings that only cosproxy issuer uses.
func issuerSettings() []setting {
	return slices.DeleteFunc(settings(), func(s setting) bool { return !isIssuerField(s.field) })
}

// writeUsage writes settings in the form of --help.
func writeUsage(b *strings.Builder, some []setting) {
	for _, s := range some {
		b.WriteString("\n  " + s.variable + s.initial(" (%s)", " (default %s)") + "\n" + wrap(s.desc, "      ", 78))
	}
}

// writeTable writes settings as a Markdown table.
func writeTable(b *strings.Builder, some []setting) {
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range some {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", s.variable, s.initial("%s", "`%s`"), strings.ReplaceAll(s.desc, "'", "`"))
	}
}
