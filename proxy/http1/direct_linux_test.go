//go:build amd64 || arm64

package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// newDirectPair returns both ends of a connection, the first as a directConn.
func newDirectPair(t *testing.T, network string) (*directConn, net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	for _, c := range []net.Conn{near, far} {
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	c, ok := direct(near).(*directConn)
	if !ok {
		t.Fatalf("direct(%T) is %T", near, direct(near))
	}
	return c, far
}

func TestDirectConn_LargeTransfer(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			near, far := newDirectPair(t, network)
			sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than socket buffers hold
			done := make(chan error, 1)
			go func() {
				_, err := io.CopyBuffer(struct{ io.Writer }{near}, struct{ io.Reader }{bytes.NewReader(sent)}, make([]byte, smallPieceSize))
				done <- err
				_ = near.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			time.Sleep(50 * time.Millisecond) // the writer fills the socket buffer
			got, err := io.ReadAll(far)
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("received %d of %d bytes, error %v", len(got), len(sent), err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			go func() {
				_, err := far.Write(sent)
				done <- err
				far.Close()
			}()
			got, err = io.ReadAll(near)
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("received %d of %d bytes, error %v", len(got), len(sent), err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Errors are those of package net, since callers inspect them.
func TestDirectConn_Errors(t *testing.T) {
	tests := []struct {
		name string
		fail func(near, far net.Conn) error
		want error
	}{
		{"read at EOF", func(near, far net.Conn) error {
			far.Close()
			return readOne(near)
		}, io.EOF},
		{"read after a reset", func(near, far net.Conn) error {
			_ = far.(*net.TCPConn).SetLinger(0)
			far.Close()
			return readOne(near)
		}, syscall.ECONNRESET},
		{"read after the deadline", func(near, _ net.Conn) error {
			_ = near.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			return readOne(near)
		}, os.ErrDeadlineExceeded},
		{"read from a closed connection", func(near, _ net.Conn) error {
			near.Close()
			return readOne(near)
		}, net.ErrClosed},
		{"write after the deadline", func(near, _ net.Conn) error {
			_ = near.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			return writeUntilError(near)
		}, os.ErrDeadlineExceeded},
		{"write after a reset", func(near, far net.Conn) error {
			_ = far.(*net.TCPConn).SetLinger(0)
			far.Close()
			if err := readOne(near); !errors.Is(err, syscall.ECONNRESET) {
				return err
			}
			return writeUntilError(near)
		}, syscall.EPIPE},
		{"write to a closed connection", func(near, _ net.Conn) error {
			near.Close()
			return writeUntilError(near)
		}, net.ErrClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, far := newDirectPair(t, "tcp")
			got := tt.fail(near, far)
			if !errors.Is(got, tt.want) {
				t.Fatalf("error %v, want %v", got, tt.want)
			}
			near, far = newDirectPair(t, "tcp")
			plain := tt.fail(near.Conn, far)
			var a, b *net.OpError
			if errors.As(got, &a) != errors.As(plain, &b) {
				t.Fatalf("error %#v, package net has %#v", got, plain)
			}
			if a != nil && (a.Op != b.Op || a.Net != b.Net || a.Timeout() != b.Timeout() || reflect.TypeOf(a.Source) != reflect.TypeOf(b.Source)) {
				t.Fatalf("error %v, package net has %v", got, plain)
			}
		})
	}
}

func readOne(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

func writeUntilError(c net.Conn) error {
	b := make([]byte, smallPieceSize)
	for {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
}

func TestDirectConn_NoAllocations(t *testing.T) {
	near, far := newDirectPair(t, "tcp")
	b := make([]byte, 100)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := near.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, b); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(near, b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for one exchange", allocs)
	}
}
