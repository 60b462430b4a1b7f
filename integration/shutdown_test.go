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

// TestShutdown_SIGTERMDuringUpload checks that the sidecar finishes and acknowledges
// an upload after SIGTERM, and refuses new connections.
func TestShutdown_SIGTERMDuringUpload(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)

	body, feed := io.Pipe()
	first, second := bytes.Repeat([]byte("1"), 1<<20), bytes.Repeat([]byte("2"), 1<<20)
	result := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, s.url+"/slow", body)
		req.ContentLength = int64(len(first) + len(second))
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			result <- 0
			return
		}
		resp.Body.Close()
		result <- resp.StatusCode
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
	if status := <-result; status != http.StatusOK {
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

// waitRefused waits until addr refuses connections.
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

// TestShutdown_SecondSignal checks that the second signal ends the process at once.
// The interrupted upload is not acknowledged and stores nothing.
func TestShutdown_SecondSignal(t *testing.T) {
	t.Parallel()
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	s.waitReady(t)

	body, feed := io.Pipe()
	result := make(chan error, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPut, s.url+"/cut", body) // chunked
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		result <- err
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
		t.Error("exit code 0 after an interrupted upload")
	}
	if err := <-result; err == nil {
		t.Error("the interrupted upload got a response")
	}
	assertNoObject(t, emu, "cut")
}

// TestUpload_Truncated checks that a truncated body, of known or unknown length, never
// becomes a shorter object.
func TestUpload_Truncated(t *testing.T) {
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
			response, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(response, []byte("HTTP/1.1 400 ")) || !bytes.Contains(response, []byte("<Code>IncompleteBody</Code>")) {
				t.Errorf("response to a truncated body: %s", response)
			}
			assertNoObject(t, emu, "broken/"+name)
		})
	}
}

// assertNoObject waits until COS has ended the upload of key, and requires that there
// is no object.
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
