package crc64_test

import (
	standard "hash/crc64"
	"math/rand/v2"
	"testing"

	"cosproxy/proxy/internal/crc64"
)

func TestUpdate_AgreesWithStandardLibrary(t *testing.T) {
	body := randomBody(100 << 10)
	table := standard.MakeTable(standard.ECMA)
	for _, n := range []int{0, 1, 7, 63, 64, 65, 255, 256, 257, 268, 269, 270, 319, 320, 321, 8191, 8192, 8193, 20_000, len(body)} {
		for _, start := range []int{0, 1, 13} {
			for _, crc := range []uint64{0, 1, 1<<63 + 5} {
				part := body[start:max(start, n)]
				if got, want := crc64.Update(crc, part), standard.Update(crc, table, part); got != want {
					t.Errorf("%d bytes from %d on %x: %x, want %x", len(part), start, crc, got, want)
				}
			}
		}
	}
}

// BenchmarkUpdate compares the checksum of bodies with that of the standard library.
func BenchmarkUpdate(b *testing.B) {
	body := make([]byte, 256<<10)
	table := standard.MakeTable(standard.ECMA)
	for name, update := range map[string]func(uint64, []byte) uint64{
		"standard": func(crc uint64, p []byte) uint64 { return standard.Update(crc, table, p) },
		"cosproxy": crc64.Update,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				update(0, body)
			}
		})
	}
}

// The check value of CRC-64/XZ, whose parameters COS uses (catalog of parametrized
// CRC algorithms).
func TestUpdate_CheckValue(t *testing.T) {
	if got, want := crc64.Update(0, []byte("123456789")), uint64(0x995dc9bbdf1939fa); got != want {
		t.Errorf("%x, want %x", got, want)
	}
	if got := crc64.Update(42, nil); got != 42 {
		t.Errorf("no bytes: %x", got)
	}
}

// Every alignment to a block, and every length up to several blocks.
func TestUpdate_Alignments(t *testing.T) {
	body, table := randomBody(64+6*64), standard.MakeTable(standard.ECMA)
	for start := range 64 {
		for n := range len(body) - start + 1 {
			part := body[start : start+n]
			if got, want := crc64.Update(7, part), standard.Update(7, table, part); got != want {
				t.Fatalf("%d bytes from %d: %x, want %x", n, start, got, want)
			}
		}
	}
}

// The checksum does not depend on where the bytes are split.
func TestUpdate_Splits(t *testing.T) {
	body := randomBody(1100)
	want := standard.Checksum(body, standard.MakeTable(standard.ECMA))
	for split := range len(body) + 1 {
		if got := crc64.Update(crc64.Update(0, body[:split]), body[split:]); got != want {
			t.Fatalf("split at %d: %x, want %x", split, got, want)
		}
	}
}

func TestUpdate_LeavesInput(t *testing.T) {
	body := randomBody(4096)
	before := string(body)
	if n := testing.AllocsPerRun(10, func() { crc64.Update(1, body) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if string(body) != before {
		t.Error("the input is changed")
	}
}

func randomBody(n int) []byte {
	body := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	return body
}
