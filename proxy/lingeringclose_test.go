package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/proxy"
)

// Many clients send a complete body before they read the response. They receive an
// error response too, because the connection is not reset.
func TestLingeringClose_ClientKeepsSending(t *testing.T) {
	const size = 32 << 20
	prefix := func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nelsewhere\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"
	tests := []struct {
		name, header string
		wait         bool // for 100 Continue, which the first byte of a form's file needs
		body         string
	}{
		{"known length", fmt.Sprintf("PUT /key HTTP/1.1\r\nContent-Length: %d\r\n", size), false, ""},
		{"chunked", "PUT /key HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", false, fmt.Sprintf("%x\r\n", size)},
		{"form", fmt.Sprintf("POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n", size), false, form},
		{"form that was asked for", fmt.Sprintf("POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\nContent-Length: %d\r\n", size), true, form},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, setup{options: prefix})
			c := r.dial(t)
			c.send(tt.header + "Host: localhost\r\n\r\n")
			if tt.wait {
				if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
					t.Fatal(head)
				}
			}
			c.send(tt.body)
			if _, err := io.CopyN(c, zeros{}, size-int64(len(tt.body))); err != nil {
				t.Fatalf("while sending on: %v", err)
			}
			r.refused(t, c.reply("PUT"), http.StatusForbidden, "AccessDenied")
		})
	}
}

// A slow error response is sent completely even if the client has not sent its complete
// body.
func TestLingeringClose_SlowErrorComplete(t *testing.T) {
	t.Parallel()
	r := start(t, setup{handle: func(a *arrival) {
		_, _ = io.CopyN(io.Discard, a.Body, 1)
		a.respond("HTTP/1.1 409 Conflict\r\nx-cos-request-id: id\r\nContent-Length: 8\r\n\r\nhalf")
		time.Sleep(2 * time.Second)
		a.respond("rest")
	}})
	c := r.dial(t)
	c.send(half[0].request)
	rep := c.reply("PUT")
	if rep.status != http.StatusConflict || rep.body != "halfrest" || rep.header.Get("Connection") != "close" {
		t.Errorf("got\n%s%s (%v)", rep.head, rep.body, rep.err)
	}
}

// A client that never stops sending is disconnected.
func TestLingeringClose_Ends(t *testing.T) {
	t.Parallel()
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].AllowPrefixes = []string{"dir/*"} }})
	c := r.dial(t)
	c.send(half[0].request)
	r.refused(t, c.reply("PUT"), http.StatusForbidden, "AccessDenied")
	for start := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("the connection is still read from")
		}
	}
}
