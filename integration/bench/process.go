//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	startTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second
)

// process is a running peer with its children.
type process struct {
	cmd     *exec.Cmd
	addr    string
	started time.Time
	log     string // file with its standard error
	exited  chan struct{}
}

// startProcess starts cmd, which must listen on addr.
func startProcess(b *testbed, name, addr string, cmd *exec.Cmd) (*process, error) {
	log, err := os.Create(filepath.Join(b.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	if _, err := cmd.StdinPipe(); err != nil { // Wait closes it
		return nil, err
	}
	p := &process{cmd: cmd, addr: addr, started: time.Now(), log: log.Name(), exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// awaitListener waits until the process accepts connections.
func (p *process) awaitListener(ctx context.Context) error {
	for time.Since(p.started) < startTimeout && ctx.Err() == nil {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("exited at the start: %s", p.lastLog())
		case <-time.After(500 * time.Microsecond):
		}
	}
	return errors.Join(ctx.Err(), fmt.Errorf("timeout waiting for the listener: %s", p.lastLog()))
}

// lastLog returns the end of its standard error.
func (p *process) lastLog() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-500):])
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		for _, pid := range p.pids() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-p.exited
	}
}

// pids returns the process and all its descendants.
func (p *process) pids() []int { return descendants(p.cmd.Process.Pid, readParents()) }

// freeAddress returns an unused address of 127.0.0.1.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
