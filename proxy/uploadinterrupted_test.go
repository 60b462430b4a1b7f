package proxy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// An upload that the client interrupts, in any way, never completes at COS.
func TestUpload_InterruptedNeverCompletes(t *testing.T) {
	ways := []struct {
		name        string
		leave       func(*client)
		clientReads bool // the client still reads
	}{
		{"end of stream", func(c *client) { _ = c.Conn.(*net.TCPConn).CloseWrite() }, true},
		{"close", func(c *client) { c.Conn.Close() }, false},
		{"reset", func(c *client) { c.Close() }, false},
	}
	for _, h := range half {
		for _, way := range ways {
			t.Run(h.name+", "+way.name, func(t *testing.T) {
				begun, result := make(chan struct{}), make(chan error, 1)
				r := start(t, setup{handle: func(a *arrival) {
					_, _ = io.ReadFull(a.Body, make([]byte, 4))
					close(begun)
					result <- a.readBody()
				}})
				c := r.dial(t)
				c.send(h.request)
				<-begun
				way.leave(c)
				if err := <-result; err == nil {
					t.Errorf("COS saw the upload end with %v", err)
				}
				if way.clientReads {
					if rep := c.reply("PUT"); rep.status != http.StatusBadRequest || rep.cosError(t).Code != "IncompleteBody" {
						t.Errorf("got\n%s%s", rep.head, rep.body)
					}
				}
				if log := r.drained(t); !strings.Contains(log, "http.response.status_code=400") || strings.Contains(log, "level=ERROR") {
					t.Errorf("log: %s", log)
				}
				r.upstream.only(t)
			})
		}
	}
}

// If a buffered body is interrupted, COS does not even receive the header.
func TestUpload_InterruptedBufferedNotSent(t *testing.T) {
	for _, request := range []string{
		"PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf",
		"PUT /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n",
		"POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf",
	} {
		r := start(t, setup{})
		c := r.dial(t)
		c.send(request)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		r.refused(t, c.reply("PUT"), http.StatusBadRequest, "IncompleteBody")
		if log := r.drained(t); !strings.Contains(log, "http.response.status_code=400") || strings.Contains(log, "level=ERROR") {
			t.Errorf("log: %s", log)
		}
	}
}

func TestUpload_InterruptedChunksNeverComplete(t *testing.T) {
	for _, broken := range []string{"zz\r\n", "4\r\nlonger\r\n", "ffffffffffffffffff\r\n", "-1\r\n", "0x4\r\n", "0\r\nbad trailer\r\n\r\n"} {
		t.Run(broken, func(t *testing.T) {
			result := make(chan error, 1)
			r := start(t, setup{handle: func(a *arrival) { result <- a.readBody() }})
			rep := r.exchange(t, "PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"+broken)
			if rep.status != http.StatusBadRequest || rep.cosError(t).Code != "InvalidRequest" {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			if rep.header.Get("Connection") != "close" {
				t.Error("the connection stays open, although the start of the next request is unknown")
			}
			// COS may not even have seen the header, but if so, never the end.
			for range r.upstream.seen() {
				if err := <-result; err == nil {
					t.Error("COS saw a complete upload")
				}
			}
		})
	}
}
