//go:build pgo && unix

package main

import (
	"bytes"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// init is in builds with the tag pgo only, for `make pgo`: it takes a CPU
// profile until the first SIGUSR1 and then writes it to the file that
// CPUPROFILE names. Without CPUPROFILE it does nothing.
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
		// The name appears when the profile is complete.
		if err := os.WriteFile(file+".part", profile.Bytes(), 0o600); err != nil {
			panic(err)
		}
		if err := os.Rename(file+".part", file); err != nil {
			panic(err)
		}
	}()
}
