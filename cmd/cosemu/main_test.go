package main

import (
	"context"
	"os"
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
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			// A program built with -race waits a second at its end by default.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
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
