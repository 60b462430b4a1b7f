package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The credentials that the STS of these tests issues.
const (
	tmpID    = "AKIDtmp"
	tmpKey   = "TMPKEY-NEVER-SHOWN"
	tmpToken = "TMPTOKEN-NEVER-SHOWN"
)

// fakeSTS responds to GetFederationToken with different credentials for each policy:
// AKIDtmp for the first, then AKIDtmp2 and so on. While down is set, it returns errors.
type fakeSTS struct {
	*httptest.Server
	calls atomic.Int64
	down  atomic.Bool

	mu       sync.Mutex
	policies []string // in order of arrival
}

func newSTS(t *testing.T, start func(http.Handler) *httptest.Server) *fakeSTS {
	s := new(fakeSTS)
	s.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		if s.down.Load() {
			fmt.Fprint(w, `{"Response":{"Error":{"Code":"AuthFailure.SecretIdNotFound","Message":"no such SecretId"},"RequestId":"sts-1"}}`)
			return
		}
		expires := time.Now().Add(30 * time.Minute)
		fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":%q,"TmpSecretId":%q,"TmpSecretKey":%q},"ExpiredTime":%d,"Expiration":%q,"RequestId":"sts-2"}}`,
			tmpToken, s.secretIDFor(r.FormValue("Policy")), tmpKey, expires.Unix(), expires.UTC().Format(time.RFC3339))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeSTS) secretIDFor(policy string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.Index(s.policies, policy)
	if n < 0 {
		n = len(s.policies)
		s.policies = append(s.policies, policy)
	}
	if n == 0 {
		return tmpID
	}
	return fmt.Sprint(tmpID, n+1)
}

func newServer(t *testing.T, start func(http.Handler) *httptest.Server, h http.HandlerFunc) *httptest.Server {
	s := start(h)
	t.Cleanup(s.Close)
	return s
}

// process is a cosproxy that runs in the test process.
type process struct {
	app, admin string // addresses
	stop       func() // has the effect of SIGTERM
	exit       chan int
	logs       *logs
	client     *http.Client
}

// start runs cosproxy on free ports until the end of the test. It waits until cosproxy
// serves.
func start(t *testing.T, environ ...string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	p := &process{stop: stop, exit: make(chan int, 1), logs: readLogs(r), client: newClient(t)}
	environ = append(settingsFor("COSPROXY_LISTEN=127.0.0.1:0", "COSPROXY_ADMIN_LISTEN=127.0.0.1:0",
		"COSPROXY_LOG_FORMAT=json", "COSPROXY_LOG_LEVEL=debug"), environ...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.exit <- run(ctx, nil, environ, streams{out: io.Discard, err: w})
		_ = w.Close() // always nil
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		noSecrets(t, p.logs.all())
	})
	line := p.logs.wait(t, "serving")
	p.app, p.admin = line["cosproxy.listen"].(string), line["cosproxy.admin_listen"].(string)
	return p
}

func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get returns status and body of a GET.
func (p *process) get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	resp, err := p.client.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// end stops the process and checks its exit code.
func (p *process) end(t *testing.T, want int) {
	t.Helper()
	p.stop()
	if got := <-p.exit; got != want {
		t.Errorf("exit code %d, want %d; log:\n%s", got, want, p.logs.all())
	}
}

// logs collects the JSON log lines of a process.
type logs struct {
	mu    sync.Mutex
	more  *sync.Cond
	text  bytes.Buffer
	lines []map[string]any
	ended bool
}

func readLogs(r io.Reader) *logs {
	l := new(logs)
	l.more = sync.NewCond(&l.mu)
	go func() {
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			var line map[string]any
			_ = json.Unmarshal(scanner.Bytes(), &line) // a line that is not JSON is only in text
			l.mu.Lock()
			l.text.Write(scanner.Bytes())
			l.text.WriteByte('\n')
			l.lines = append(l.lines, line)
			l.more.Broadcast()
			l.mu.Unlock()
		}
		l.mu.Lock()
		l.ended = true
		l.more.Broadcast()
		l.mu.Unlock()
	}()
	return l
}

// wait returns the first line with this message. It fails the test after a minute.
func (l *logs) wait(t *testing.T, msg string) map[string]any {
	t.Helper()
	late := false
	timer := time.AfterFunc(time.Minute, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.more.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for next := 0; ; next++ {
		for next == len(l.lines) {
			if l.ended || late {
				t.Fatalf("the log has no %q:\n%s", msg, l.text.String())
			}
			l.more.Wait()
		}
		if l.lines[next]["msg"] == msg {
			return l.lines[next]
		}
	}
}

func (l *logs) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// contain waits until the log has all of the texts: a request may be logged after its
// response was received.
func (l *logs) contain(t *testing.T, wants ...string) {
	t.Helper()
	has := func(want string) bool { return strings.Contains(l.all(), want) }
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(wants, func(want string) bool { return !has(want) }) {
			return
		}
	}
	contains(t, l.all(), wants...)
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
