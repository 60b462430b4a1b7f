package integration_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// TestRollout plays the kubelet that replaces a pod, again and again, while the
// application of the pod uploads as fast as it can, and for a while after SIGTERM. No
// upload may fail, every object must be complete in COS, and the sidecar must exit with
// code 0.
//
// In the classic order, both containers get SIGTERM at the same time, and
// COSPROXY_SHUTDOWN_DELAY covers the uploads that follow. In the native order
// (restartPolicy: Always), the sidecar gets it after the application has ended.
func TestRollout(t *testing.T) {
	for _, r := range []rollout{
		{name: "classic", delay: 300 * time.Millisecond, rounds: 50},
		{name: "classic, kept connections", delay: 300 * time.Millisecond, keptConns: true, rounds: 50},
		{name: "classic, Unix socket", delay: 300 * time.Millisecond, unix: true, rounds: 20},
		{name: "native", native: true, uploads: 300 * time.Millisecond, rounds: 50},
		{name: "native, kept connections", native: true, uploads: 300 * time.Millisecond, keptConns: true, rounds: 50},
		{name: "classic, 5 s", delay: 5 * time.Second, uploads: 4 * time.Second, keptConns: true, rounds: 3},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			var total rolloutCounts
			for round := range r.rounds {
				r.run(t, round, &total)
				if t.Failed() {
					break
				}
			}
			t.Logf("%d rounds: %d uploads, %d of them after SIGTERM; the slowest exit took %v after the last upload or the delay",
				r.rounds, total.uploads.Load(), total.late.Load(), total.slowestExit)
			if total.late.Load() == 0 {
				t.Error("no upload came after SIGTERM, so the test shows nothing")
			}
		})
	}
}

// rollout is one way in which a pod ends.
type rollout struct {
	name      string
	native    bool          // the sidecar is stopped after the application
	delay     time.Duration // COSPROXY_SHUTDOWN_DELAY
	uploads   time.Duration // how long the application uploads after SIGTERM; zero: as long as delay
	keptConns bool          // the application reuses its connections
	unix      bool          // the sidecar listens on a Unix socket
	rounds    int
}

type rolloutCounts struct {
	uploads, late atomic.Int64
	slowestExit   time.Duration
}

// run is the life of one pod.
func (r rollout) run(t *testing.T, round int, total *rolloutCounts) {
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	defer func() { _ = emu.Close() }()
	env := append(sidecarEnv(emu), "COSPROXY_SHUTDOWN_DELAY="+r.delay.String())
	socket := filepath.Join(t.TempDir(), "cos.sock")
	if r.unix {
		env = append(env, "COSPROXY_LISTEN=unix://"+socket)
	}
	s := startSidecar(t, filepath.Join(bin, "cosproxy"), env...)
	defer s.kill()
	s.waitReady(t)
	url, transport := s.url, &http.Transport{DisableKeepAlives: !r.keptConns, MaxIdleConnsPerHost: 8}
	if r.unix {
		url = "http://localhost"
	}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.unix {
			network, address = "unix", socket
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &stampedConn{Conn: c}, nil
	}
	app := &uploader{t: t, emu: emu, total: total, url: fmt.Sprintf("%s/%d", url, round), key: fmt.Sprint(round)}
	app.client = &http.Client{Timeout: time.Minute, Transport: transport}
	defer app.client.CloseIdleConnections()
	for worker := range uploadSizes {
		app.running.Go(func() { app.upload(worker) })
	}
	time.Sleep(rand.N(100 * time.Millisecond)) // so that SIGTERM comes at any moment

	terminated := time.Now()
	app.terminated.Store(terminated.UnixNano())
	uploads := r.uploads
	if uploads == 0 { // the sidecar starts to measure the delay later than this
		uploads = r.delay
		app.deadline.Store(terminated.Add(r.delay).UnixNano())
	}
	if !r.native {
		s.signal(t, syscall.SIGTERM)
	}
	time.Sleep(uploads)
	app.stop.Store(true)
	app.running.Wait()
	ended := time.Now()
	if r.native {
		s.signal(t, syscall.SIGTERM)
	}
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("the sidecar is still running 30 s after the last upload")
	}
	total.slowestExit = max(total.slowestExit, time.Since(ended))
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("round %d: exit code %d\n%s", round, code, tail(s.log.String(), 2000))
	}
	app.checkStored()
}

func (s *sidecar) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// uploader is the application of a pod.
type uploader struct {
	t          *testing.T
	emu        *cosemu.Server
	total      *rolloutCounts
	client     *http.Client
	url, key   string
	running    sync.WaitGroup
	stop       atomic.Bool
	terminated atomic.Int64 // when SIGTERM was sent, in Unix nanoseconds; 0: not yet
	deadline   atomic.Int64 // failures of requests sent later do not count; 0: all count

	mu     sync.Mutex
	stored map[string][]byte // acknowledged objects, by key
}

// uploadSizes are for buffered bodies, streamed ones, and long ones.
var uploadSizes = []int{1 << 10, 100 << 10, 1 << 20}

// upload uploads objects of one size until stop.
func (u *uploader) upload(worker int) {
	for i := 0; !u.stop.Load(); i++ {
		body := bytes.Repeat([]byte{byte('a' + (worker+i)%26)}, uploadSizes[worker])
		name := fmt.Sprintf("/%d/%d", worker, i)
		sent, err := u.put(name, body)
		if err != nil {
			if deadline := u.deadline.Load(); deadline != 0 && sent > deadline {
				return // too late; the application should have ended
			}
			u.t.Errorf("%s%s: %v; sent %v after SIGTERM", u.key, name, err, time.Duration(sent-u.terminated.Load()))
			return
		}
		u.total.uploads.Add(1)
		if at := u.terminated.Load(); at != 0 && sent > at {
			u.total.late.Add(1)
		}
		u.mu.Lock()
		if u.stored == nil {
			u.stored = make(map[string][]byte)
		}
		u.stored[u.key+name] = body
		u.mu.Unlock()
	}
}

// put uploads one object, and returns when the system had taken the beginning of its
// request, or when it failed before that. The client cannot repeat the request, since that
// would hide a connection that the sidecar closed too early.
func (u *uploader) put(name string, body []byte) (sent int64, err error) {
	var used atomic.Pointer[stampedConn]
	ctx := httptrace.WithClientTrace(u.t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			c := info.Conn.(*stampedConn)
			c.written.Store(0)
			used.Store(c)
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.url+name, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return 0, err
	}
	req.ContentLength = int64(len(body))
	resp, err := u.client.Do(req)
	sent = time.Now().UnixNano()
	if c := used.Load(); c != nil {
		sent = cmp.Or(c.written.Load(), sent)
	}
	if err != nil {
		return sent, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	return sent, err
}

// stampedConn records when the first write of a request returned. Earlier stamps, such as
// those of httptrace, are taken before the write, and a busy machine may pause in between.
type stampedConn struct {
	net.Conn
	written atomic.Int64 // in Unix nanoseconds; 0: not yet
}

// Write implements net.Conn.
func (c *stampedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.CompareAndSwap(0, time.Now().UnixNano())
	return n, err
}

// checkStored checks that COS has every acknowledged object.
func (u *uploader) checkStored() {
	for key, body := range u.stored {
		object, ok := u.emu.Object(bucket, key)
		if !ok {
			u.t.Errorf("%s was acknowledged, but COS does not have it", key)
			continue
		}
		got, err := readObject(object)
		if err != nil || !bytes.Equal(got, body) {
			u.t.Errorf("%s has %d bytes in COS (%v) that differ from the %d that were acknowledged", key, len(got), err, len(body))
		}
	}
}

func readObject(object cosemu.Object) ([]byte, error) {
	body, err := object.Open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
