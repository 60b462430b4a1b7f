package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestIssuer_HeldConnections holds more connections than the limit: silent ones and halves of
// heads. New requests succeed all the same, and so does one that waits for its credentials.
func TestIssuer_HeldConnections(t *testing.T) {
	const limit = 4
	for _, overTLS := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", overTLS), func(t *testing.T) {
			changes := []string{"COSPROXY_HEADER_TIMEOUT=5m", "COSPROXY_STALL_TIMEOUT=5m"}
			if overTLS {
				changes = append(changes, newPair(t, "issuer").settings()...)
			}
			cfg, err := loadIssuerConfig(issuerSettingsFor(t, changes...))
			if err != nil {
				t.Fatal(err)
			}
			arrived, release := make(chan struct{}), make(chan struct{})
			s := &issuerServer{pageHost: pageHost{cfg: cfg, log: slog.New(slog.DiscardHandler)}}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := s.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(arrived)
					<-release
				}
				_, _ = io.WriteString(w, "issued") // a client that left gets nothing
			}), []net.Listener{l}, limit)
			go func() { _ = server.Serve(server.listeners[0]) }() // ends with Close
			defer server.Close()

			connect := func() net.Conn {
				c := dialWithin(t, l.Addr().String(), time.Minute)
				if overTLS {
					return tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				return c
			}
			wantResponse := func(c net.Conn) {
				t.Helper()
				all := bufio.NewReader(c)
				resp, err := http.ReadResponse(all, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); string(body) != "issued" || !resp.Close {
					t.Errorf("%q, %v, the connection is closed: %t", body, err, resp.Close)
				}
				if rest, err := io.ReadAll(all); err != nil {
					t.Errorf("%q, %v after the response", rest, err)
				}
			}
			slow := connect()
			fmt.Fprint(slow, "GET /slow HTTP/1.1\r\nHost: issuer\r\n\r\n")
			<-arrived
			for i := range 2 * limit {
				held := dialWithin(t, l.Addr().String(), time.Minute)
				if i%2 == 0 && !overTLS {
					fmt.Fprint(held, "GET / HTTP/1.1\r\nHost:")
				}
			}
			for range limit {
				c := connect()
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: issuer\r\n\r\n")
				wantResponse(c)
			}
			close(release)
			wantResponse(slow)
		})
	}
}

func TestDescriptors_IssuerConns(t *testing.T) {
	for descriptors, want := range map[int64]int64{20: minAppConns, 1024: 492, math.MaxInt32: maxIssuerConns} {
		if got := new(config).issuerConns(descriptors); got != want {
			t.Errorf("%d of %d descriptors, want %d", got, descriptors, want)
		}
	}
}
