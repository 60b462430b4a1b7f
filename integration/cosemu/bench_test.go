package cosemu_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"cosproxy/integration/cosemu"
)

// zeros reads as left zero bytes, which cost the client no time.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	return int(n), nil
}

// The emulator must be fast enough for benchmarks of the proxy.

func BenchmarkPut_Large(b *testing.B) {
	const size = 256 << 20
	srv := start(b, cosemu.Options{})
	client := httpClient(b, srv)
	transport := client.Transport.(*http.Transport)
	transport.WriteBufferSize = 256 << 10
	signed := request(b, longLived(srv), http.MethodPut, "/large", nil)
	b.SetBytes(size)
	for b.Loop() {
		r := signed.Clone(b.Context())
		r.Body, r.ContentLength = io.NopCloser(&zeros{size}), size
		if a := do(b, client, r); a.status != http.StatusOK {
			b.Fatalf("%d\n%s", a.status, a.body)
		}
	}
}

func BenchmarkGet_Large(b *testing.B) {
	const size = 256 << 20
	srv := start(b, cosemu.Options{})
	client := httpClient(b, srv)
	put := request(b, longLived(srv), http.MethodPut, "/large", nil)
	put.Body, put.ContentLength = io.NopCloser(&zeros{size}), size
	do(b, client, put)
	signed := request(b, longLived(srv), http.MethodGet, "/large", nil)
	buffer := make([]byte, 1<<20)
	b.SetBytes(size)
	for b.Loop() {
		resp, err := client.Do(signed.Clone(b.Context()))
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buffer)
		resp.Body.Close()
		if err != nil || n != size {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkGet_Small(b *testing.B) {
	srv := start(b, cosemu.Options{})
	client := httpClient(b, srv)
	body := pattern(1 << 10)
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		b.Run(method, func(b *testing.B) {
			signed := request(b, longLived(srv), method, "/small", nil)
			b.ReportAllocs()
			for b.Loop() {
				r := signed.Clone(b.Context())
				if method == http.MethodPut {
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				}
				if a := do(b, client, r); a.status != http.StatusOK {
					b.Fatalf("%d\n%s", a.status, a.body)
				}
			}
		})
	}
}
