//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// Names of the peers.
const (
	nameCosproxy     = "cosproxy"
	nameBaseline     = "baseline"
	nameLua          = "nginx+lua"
	nameNginx        = "nginx"
	nameReverseProxy = "reverseproxy"
)

// peerNames are in the order of the tables.
var peerNames = []string{nameCosproxy, nameBaseline, nameLua, nameNginx, nameReverseProxy}

// s3Peers are the peers that accept requests of S3.
var s3Peers = []string{nameCosproxy, nameBaseline}

// peer is a proxy to measure.
type peer struct {
	name   string
	signs  bool
	binary string // for its size; "" without a separate binary
	// command returns the program, which must listen on addr and forward to the upstream.
	command func(ctx context.Context, b *testbed, t transport, addr string) (*exec.Cmd, error)
}

// findPeers returns the available peers, and why others are missing. A missing
// cosproxy is an error.
func findPeers(ctx context.Context, b *testbed, s *settings) (found []peer, missing []string, err error) {
	for _, name := range peerNames {
		if len(s.peers) > 0 && !slices.Contains(s.peers, name) || name == nameBaseline && s.baseline == "" {
			continue
		}
		p, err := newPeer(ctx, b, s, name)
		switch {
		case err == nil:
			found = append(found, p)
		case name == nameCosproxy || name == nameBaseline:
			return nil, nil, err
		default:
			missing = append(missing, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return found, missing, nil
}

func newPeer(ctx context.Context, b *testbed, s *settings, name string) (peer, error) {
	switch name {
	case nameCosproxy:
		return newCosproxy(name, s.cosproxy)
	case nameBaseline:
		return newCosproxy(name, s.baseline)
	case nameLua:
		return newNginxLua(ctx, b, s)
	case nameNginx:
		return newNginx(ctx, b, s)
	}
	return newReverseProxy(), nil
}

func newReverseProxy() peer {
	return peer{
		name: nameReverseProxy,
		command: func(ctx context.Context, b *testbed, t transport, addr string) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, b.self, nameReverseProxy, addr, b.url(t))
			cmd.Env = []string{"SSL_CERT_FILE=" + b.cert} // see crypto/x509
			return cmd, nil
		},
	}
}

// newCosproxy returns a cosproxy with static credentials and otherwise default
// settings.
func newCosproxy(name, binary string) (peer, error) {
	if _, err := os.Stat(binary); err != nil {
		return peer{}, fmt.Errorf("%w; run make build, or set -%s", err, name)
	}
	return peer{
		name: name, signs: true, binary: binary,
		command: func(ctx context.Context, b *testbed, t transport, addr string) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, binary)
			cmd.Env = cosproxyEnv(b, t, addr)
			return cmd, nil
		},
	}, nil
}

func cosproxyEnv(b *testbed, t transport, addr string) []string {
	scheme := "http"
	if t == overTLS {
		scheme = "https"
	}
	return []string{
		"COSPROXY_LISTEN=" + addr, "COSPROXY_ADMIN_LISTEN=off", "COSPROXY_LOG_LEVEL=warn",
		"COSPROXY_BUCKET=" + bucket, "COSPROXY_REGION=" + region,
		"COSPROXY_ALLOW_PREFIXES=bench/*", "COSPROXY_ALLOW_ACTIONS=read,upload",
		"COSPROXY_SOURCE=static", "TENCENTCLOUD_SECRET_ID=" + secretID, "TENCENTCLOUD_SECRET_KEY=" + secretKey, "TENCENTCLOUD_TOKEN=" + sessionToken,
		"COSPROXY_ENDPOINT=" + scheme + "://{bucket}.cos.{region}.myqcloud.com", "COSPROXY_CONNECT_TO=" + b.upstream[t],
		"COSPROXY_CA_FILE=" + b.cert,
	}
}

// start runs the peer and waits until it serves. A peer with signs must sign.
func (p peer) start(ctx context.Context, b *testbed, t transport, env ...string) (*process, error) {
	proc, err := p.launch(ctx, b, t, env...)
	if err != nil {
		return nil, err
	}
	if err := proc.awaitListener(ctx); err != nil {
		proc.stop()
		return nil, err
	}
	path := objectPath + "1024"
	if p.signs {
		path = signedPath
	}
	if _, err := getOnce(ctx, proc.addr, path); err != nil {
		proc.stop()
		return nil, errors.Join(err, errors.New(proc.lastLog()))
	}
	return proc, nil
}

// launch starts the process and does not wait until it serves.
func (p peer) launch(ctx context.Context, b *testbed, t transport, env ...string) (*process, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd, err := p.command(ctx, b, t, addr)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	return startProcess(b, p.name, addr, cmd)
}

// timeoutFor returns the maximum time for a transfer of n bytes.
func timeoutFor(n int64) time.Duration { return 10*time.Second + time.Duration(n/(10<<20))*time.Second }
