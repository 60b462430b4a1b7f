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
		"cosemu":         main,
		"waitfor":        waitFor,
		"copytest":       copyTest,
		"tampertest":     tamperTest,
		"newcredentials": waitForNewCredentials,
	})
}

func TestScripts(t *testing.T) {
	signal.Ignore(syscall.SIGHUP) // as nohup does
	startWithHangup(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			// By default, a program built with -race waits a second before it exits.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

// startWithHangup makes the programs of scripts start with the default action for
// SIGHUP, as in a terminal: a signal that is caught here has its default action there
// (exec(3)). An ignored one would stay ignored there, where a shell cannot trap it
// (POSIX, trap), and scripts that send it would wait forever.
func startWithHangup(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
}

// TestRun_ContextCanceled checks that run does not outlive its context and leaves no
// command running.
func TestRun_ContextCanceled(t *testing.T) {
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
