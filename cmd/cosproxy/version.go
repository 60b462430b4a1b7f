package main

import "runtime/debug"

// version is the module's version, which the go command takes from the tag or
// the commit it builds, and the Go release.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown version)"
	}
	return info.Main.Version + " " + info.GoVersion
}
