//go:build pgo && unix

package main

import (
	"bytes"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// init takes a CPU profile until the first SIGUSR1 and writes it to the file in
// CPUPROFILE. Without CPUPROFILE it does nothing. It is only part of builds with the tag
// pgo, for `make pgo`.
func init() {
	file := os.Getenv("CPUPROFILE")
	if file == "" {
		return
	}
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		panic(err)
	}
	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGUSR1)
	go func() {
		<-done
		pprof.StopCPUProfile()
		// The rename makes a complete profile visible at once.
		if err := os.WriteFile(file+".part", profile.Bytes(), 0o600); err != nil {
			panic(err)
		}
		if err := os.Rename(file+".part", file); err != nil {
			panic(err)
		}
	}()
}
