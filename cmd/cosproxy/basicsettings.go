package main

import "slices"

// basicFields are the fields of the settings that most installations use. --help and
// the manual show them first, and all others as advanced.
var basicFields = []string{
	"Bucket", "Region", "AllowPrefixes", "AllowActions", "Source",
	"SecretID", "SecretIDFile", "SecretKey", "SecretKeyFile", "RoleARN",
	"Listen", "AdminListen", "ClientTokenFile", "LogFormat", "LogLevel",
}

// splitSettings returns the basic and the advanced settings, each in the order of config.
func splitSettings() (basic, advanced []setting) {
	for _, s := range settings() {
		if slices.Contains(basicFields, s.field) {
			basic = append(basic, s)
		} else {
			advanced = append(advanced, s)
		}
	}
	return basic, advanced
}
