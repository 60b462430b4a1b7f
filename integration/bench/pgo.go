//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// profileVariable is the environment variable with the file for the CPU profile. A
// cosproxy that was built with the tag pgo writes it at the first SIGUSR1.
const profileVariable = "CPUPROFILE"

// writeProfile loads cosproxy with the cells of the settings over each transport, and
// merges the profiles into the file s.pgo.
func writeProfile(ctx context.Context, b *testbed, s *settings, progress io.Writer) error {
	p, err := newCosproxy(nameCosproxy, s.cosproxy)
	if err != nil {
		return err
	}
	merge := []string{"tool", "pprof", "-proto", "-symbolize=none", "-output", s.pgo}
	for _, t := range s.transports {
		file := filepath.Join(b.dir, fmt.Sprintf("%s.pprof", t))
		fmt.Fprintf(progress, "profile, %s\n", t)
		if err := takeProfile(ctx, b, s, p, t, file); err != nil {
			return fmt.Errorf("profile, %s: %w", t, err)
		}
		merge = append(merge, file)
	}
	if out, err := exec.CommandContext(ctx, "go", merge...).CombinedOutput(); err != nil {
		return fmt.Errorf("merge the profiles: %w: %s", err, out)
	}
	return nil
}

func takeProfile(ctx context.Context, b *testbed, s *settings, p peer, t transport, file string) error {
	proc, err := p.start(ctx, b, t, profileVariable+"="+file)
	if err != nil {
		return err
	}
	defer proc.stop()
	for range s.rounds {
		for _, c := range append(smallCells(s, t), largeCells(s, t)...) {
			if _, err := measureCell(ctx, b, s, proc, c); err != nil {
				return err
			}
		}
	}
	if err := proc.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	return awaitFile(ctx, proc, file)
}

// awaitFile waits until the file exists.
func awaitFile(ctx context.Context, p *process, file string) error {
	for range 500 {
		_, err := os.Stat(file)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.exited:
			return errors.New("cosproxy exited without a profile; build it with -tags pgo")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("timeout waiting for the profile; build cosproxy with -tags pgo")
}
