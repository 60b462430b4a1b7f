package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cosemu":   main,
		"waitfor":  waitFor,
		"copytest": copyTest,
		"addtest":  addTest,
		"newkey":   newKey,
	})
}

func TestScripts(t *testing.T) {
	signal.Ignore(syscall.SIGHUP) // as nohup does
	startWithHangup(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			// A program built with -race waits a second at its end by default.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

// startWithHangup has the programs of scripts start with SIGHUP as a terminal's
// have it: a signal that is caught here is at its default there (exec(3)). One that
// is ignored would be ignored there too, and a shell cannot trap it then (POSIX,
// trap), so that scripts that send one would wait without end.
func startWithHangup(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
}

// TestCancelledContextEndsCommand is about embedding: run must not outlive its
// context, nor leave its command behind.
func TestCancelledContextEndsCommand(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := run(ctx, []string{"--", "sleep", "600"}, os.Environ(), nil, t.Output(), t.Output()); code != 128+15 {
		t.Errorf("with a command: exit code %d, want 143", code)
	}
	if code := run(ctx, nil, os.Environ(), nil, t.Output(), t.Output()); code != 0 {
		t.Errorf("alone: exit code %d, want 0", code)
	}
}
