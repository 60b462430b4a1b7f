package proxy_test

import (
	"hash/crc64"
	"math/rand/v2"
	"testing"

	"cosproxy/proxy"
)

func TestCRCIsThatOfTheStandardLibrary(t *testing.T) {
	body := make([]byte, 100<<10)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(body)
	table := crc64.MakeTable(crc64.ECMA)
	for _, n := range []int{0, 1, 7, 63, 64, 65, 255, 256, 257, 268, 269, 270, 319, 320, 321, 8191, 8192, 8193, 20_000, len(body)} {
		for _, start := range []int{0, 1, 13} {
			for _, crc := range []uint64{0, 1, 1<<63 + 5} {
				part := body[start:max(start, n)]
				if got, want := proxy.UpdateCRC(crc, part), crc64.Update(crc, table, part); got != want {
					t.Errorf("%d bytes from %d on %x: %x, want %x", len(part), start, crc, got, want)
				}
			}
		}
	}
}

// BenchmarkCRC compares the checksum of bodies with that of the standard library.
func BenchmarkCRC(b *testing.B) {
	body := make([]byte, 256<<10)
	table := crc64.MakeTable(crc64.ECMA)
	for name, update := range map[string]func(uint64, []byte) uint64{
		"standard": func(crc uint64, p []byte) uint64 { return crc64.Update(crc, table, p) },
		"cosproxy": proxy.UpdateCRC,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				update(0, body)
			}
		})
	}
}
