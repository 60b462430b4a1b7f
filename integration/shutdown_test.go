package integration_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"cosproxy/integration/cosemu"
)

// TestSIGTERMDuringUpload: an upload that is under way when the sidecar is told
// to stop is finished and acknowledged; new connections are refused.
func TestSIGTERMDuringUpload(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)

	body, feed := io.Pipe()
	first, second := bytes.Repeat([]byte("1"), 1<<20), bytes.Repeat([]byte("2"), 1<<20)
	answered := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, s.url+"/slow", body)
		req.ContentLength = int64(len(first) + len(second))
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	if _, err := feed.Write(first); err != nil {
		t.Fatal(err)
	}
	s.waitInFlight(t, 1)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitRefused(t, strings.TrimPrefix(s.url, "http://"))
	if _, err := feed.Write(second); err != nil {
		t.Fatal(err)
	}
	_ = feed.Close()
	if status := <-answered; status != http.StatusOK {
		t.Errorf("upload across SIGTERM: %d, want 200", status)
	}
	<-s.exited
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if got := readDirect(t, emu, "slow"); !bytes.Equal(got, append(first, second...)) {
		t.Errorf("COS holds %d bytes that are not what was sent", len(got))
	}
}

// waitRefused waits until nobody listens on addr any more.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for range 500 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the sidecar still accepts connections after SIGTERM")
}

// TestSecondSignalEndsAtOnce: the upload it cuts is not acknowledged and leaves
// nothing at COS.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)

	body, feed := io.Pipe()
	answered := make(chan error, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, s.url+"/cut", body) // chunked
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		answered <- err
	}()
	if _, err := feed.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
		t.Fatal(err)
	}
	s.waitInFlight(t, 1)
	for range 2 {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		waitRefused(t, strings.TrimPrefix(s.url, "http://"))
	}
	<-s.exited
	feed.CloseWithError(io.ErrClosedPipe) // net/http waits for the end of the body
	if code := s.cmd.ProcessState.ExitCode(); code == 0 {
		t.Error("exit code 0 although an upload was cut")
	}
	if err := <-answered; err == nil {
		t.Error("the cut upload was answered")
	}
	assertNoObject(t, emu, "cut")
}

// TestClientBreaksOffUpload: neither a body of known nor one of unknown length
// becomes a shorter object.
func TestClientBreaksOffUpload(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	for name, head := range map[string]string{
		"known":   "Content-Length: 2000000\r\n\r\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\nF4240\r\n", // a chunk of 1,000,000
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, "PUT /broken/"+name+" HTTP/1.1\r\nHost: localhost\r\n"+head)
			_, _ = c.Write(bytes.Repeat([]byte("x"), 500_000))
			_ = c.(*net.TCPConn).CloseWrite()
			answer, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(answer, []byte("HTTP/1.1 400 ")) || !bytes.Contains(answer, []byte("<Code>IncompleteBody</Code>")) {
				t.Errorf("answer to half a body: %s", answer)
			}
			assertNoObject(t, emu, "broken/"+name)
		})
	}
}

// assertNoObject waits until COS is done with the upload of key, and wants no
// object to have come of it.
func assertNoObject(t *testing.T, emu *cosemu.Server, key string) {
	t.Helper()
	for range 500 {
		for _, r := range emu.Requests() {
			if r.Method == http.MethodPut && r.URI == "/"+key {
				if o, found := emu.Object(bucket, key); found {
					t.Errorf("COS holds %d bytes under %q", o.Size, key)
				}
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("COS never ended the upload of %q", key)
}
