//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// The bucket of the peers, with credentials of the usual lengths.
const (
	bucket       = "examplebucket-1250000000"
	region       = "ap-guangzhou"
	bucketHost   = bucket + ".cos." + region + ".myqcloud.com"
	secretID     = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAM"
	secretKey    = "secretEXAMPLEsecretEXAMPLEsecret"
	sessionToken = sessionToken256 + sessionToken256 + sessionToken256 + sessionToken256

	sessionToken64  = "AbCd0123_-xyzQ9+AbCd0123_-xyzQ9+AbCd0123_-xyzQ9+AbCd0123_-xyzQ9+"
	sessionToken256 = sessionToken64 + sessionToken64 + sessionToken64 + sessionToken64
)

// testbed holds the shared resources of the peers: the upstream, a certificate and a
// directory.
type testbed struct {
	dir      string
	self     string // this program
	cert     string // PEM file, also the CA
	upstream map[transport]string
	pattern  []byte
	source   *source // pattern to upload
	chunked  *source // the same in aws-chunked

	cmd   *exec.Cmd
	stdin io.Closer
}

// newTestbed starts the upstream. The caller must close the testbed.
func newTestbed(ctx context.Context, s *settings) (_ *testbed, err error) {
	b := &testbed{pattern: newPattern()}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.dir, err = os.MkdirTemp("", "cosproxy-bench"); err != nil {
		return nil, err
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.source, err = newSource(b.pattern); err != nil {
		return nil, err
	}
	if b.chunked, err = newSource(chunkPattern(b.pattern)); err != nil {
		return nil, err
	}
	b.cert = filepath.Join(b.dir, "cert.pem")
	key := filepath.Join(b.dir, "key.pem")
	if err := writeCertificate(b.cert, key); err != nil {
		return nil, err
	}
	return b, b.startUpstream(ctx, key, s.size)
}

func (b *testbed) startUpstream(ctx context.Context, key string, size int64) error {
	cmd := exec.CommandContext(ctx, b.self, "upstream", b.cert, key, strconv.FormatInt(size, 10))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd, b.stdin = cmd, stdin
	var p, t string
	if _, err := fmt.Fscan(stdout, &p, &t); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	b.upstream = map[transport]string{plain: p, overTLS: t}
	return nil
}

// url returns the URL of the upstream.
func (b *testbed) url(t transport) string {
	if t == overTLS {
		return "https://" + b.upstream[t]
	}
	return "http://" + b.upstream[t]
}

func (b *testbed) close() {
	if b.cmd != nil {
		_ = b.stdin.Close()
		_ = b.cmd.Wait()
	}
	for _, s := range []*source{b.source, b.chunked} {
		if s != nil {
			s.Close()
		}
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}
