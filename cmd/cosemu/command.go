package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignaled      = 128 // plus the number of the signal
)

// runCommand runs command to its end, passes signals on meanwhile, and returns
// its exit code. When ctx ends, command gets SIGTERM, or is killed on Windows.
func runCommand(ctx context.Context, command []string, env environment, signals <-chan os.Signal, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // running the caller's command is the purpose
	cmd.Env = env.variables
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	runtime.LockOSThread() // or cmd would be killed when Go ends this thread
	defer runtime.UnlockOSThread()
	killWithParent(cmd)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(stderr, "cosemu: %v\n", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return exitNotFound
		}
		return exitNotExecutable
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	done := ctx.Done()
	for {
		select {
		case sig := <-signals:
			forward(sig, cmd.Process)
		case <-done:
			terminate(cmd.Process)
			done = nil
		case err := <-ended:
			return exitCode(err, cmd.ProcessState, stderr)
		}
	}
}

func exitCode(err error, state *os.ProcessState, stderr io.Writer) int {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintf(stderr, "cosemu: %v\n", err)
		return exitFailure
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignaled + int(status.Signal())
	}
	return state.ExitCode()
}
