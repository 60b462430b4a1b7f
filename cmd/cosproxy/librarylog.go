package main

import (
	"log"
	"log/slog"
	"os"

	"cosproxy/proxy"
)

// logLibraries has what libraries print through package log become lines of l,
// until restore is called.
func logLibraries(l *slog.Logger) (restore func()) {
	flags := log.Flags()
	log.SetFlags(0)
	log.SetOutput(proxy.LibraryLog(l))
	return func() {
		log.SetFlags(flags)
		log.SetOutput(os.Stderr)
	}
}
