package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cosproxy/proxy"
)

// The checksum of a form's file is compared with that of COS, wherever the file ends.
func TestForm_Checksum(t *testing.T) {
	storedAs := func(sum uint64) func(*arrival) {
		return func(a *arrival) {
			if a.readBody() == nil {
				a.respond(fmt.Sprintf("HTTP/1.1 204 No Content\r\nx-cos-request-id: id\r\nx-cos-hash-crc64ecma: %d\r\n\r\n", sum))
			}
		}
	}
	ends := map[string]string{"usual": closing, "without a line end": strings.TrimSuffix(closing, "\r\n")}
	for name, end := range ends {
		for _, n := range []int{0, 1, 30, 60, 4000, 65_000, 65_536, 100_000, 300_000} {
			t.Run(fmt.Sprint(name, ", ", n), func(t *testing.T) {
				body := strings.Repeat("0123456789\r\n--b", n/15+1)[:n]
				request := post("/", "", field("key", "a")+file("f", body+end))
				r := start(t, setup{handle: storedAs(crc(body))})
				if rep := r.exchange(t, request); rep.status != http.StatusNoContent {
					t.Errorf("stored as sent: %d %s", rep.status, rep.body)
				}
				r = start(t, setup{handle: storedAs(crc(body) + 1)})
				if rep := r.exchange(t, request); rep.status != http.StatusBadGateway || rep.cosError(t).Code != "ChecksumMismatch" {
					t.Errorf("stored differently: %d %s", rep.status, rep.body)
				}
			})
		}
	}
	unknown := map[string]string{
		"something after the end":      post("/", "", field("key", "a")+file("f", "x"+closing+"epilogue that is long enough")),
		"processed on arrival":         post("/", "", field("key", "a")+field("pic-operations", "{}")+file("f", "x"+closing)),
		"no file in an unusual way":    post("/", "", field("key", "a")+file("f", strings.TrimPrefix(closing, "\r\n"))),
		"checksums are not wanted":     post("/", "", field("key", "a")+file("f", "x"+closing)),
		"checksums, large, not wanted": post("/", "", field("key", "a")+file("f", strings.Repeat("x", 100_000)+closing)),
	}
	for name, request := range unknown {
		t.Run(name, func(t *testing.T) {
			r := start(t, setup{
				options: func(o *proxy.Options) { o.SkipChecksums = strings.HasPrefix(name, "checksums") },
				handle:  storedAs(1),
			})
			if rep := r.exchange(t, request); rep.status != http.StatusNoContent {
				t.Errorf("%d %s", rep.status, rep.body)
			}
		})
	}
}
