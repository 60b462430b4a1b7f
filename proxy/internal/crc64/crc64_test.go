package crc64_test

import (
	standard "hash/crc64"
	"math/rand/v2"
	"testing"

	"cosproxy/proxy/internal/crc64"
)

// sums are the two checksums, and the tables of the standard library for them.
var sums = map[string]struct {
	update func(crc uint64, p []byte) uint64
	table  *standard.Table
}{
	"ECMA": {crc64.Update, standard.MakeTable(standard.ECMA)},
	"NVME": {crc64.UpdateNVME, standard.MakeTable(0x9a6c9329ac4bc9b5)},
}

func TestUpdate_AgreesWithStandardLibrary(t *testing.T) {
	body := randomBody(100 << 10)
	for name, sum := range sums {
		for _, n := range []int{0, 1, 7, 63, 64, 65, 255, 256, 257, 268, 269, 270, 319, 320, 321, 8191, 8192, 8193, 20_000, len(body)} {
			for _, start := range []int{0, 1, 13} {
				for _, crc := range []uint64{0, 1, 1<<63 + 5} {
					part := body[start:max(start, n)]
					if got, want := sum.update(crc, part), standard.Update(crc, sum.table, part); got != want {
						t.Errorf("%s of %d bytes from %d on %x: %x, want %x", name, len(part), start, crc, got, want)
					}
				}
			}
		}
	}
}

// BenchmarkUpdate compares the checksums of bodies with those of the standard library.
func BenchmarkUpdate(b *testing.B) {
	body := make([]byte, 256<<10)
	for name, sum := range sums {
		for how, update := range map[string]func(uint64, []byte) uint64{
			"standard": func(crc uint64, p []byte) uint64 { return standard.Update(crc, sum.table, p) },
			"cosproxy": sum.update,
		} {
			b.Run(name+"/"+how, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					update(0, body)
				}
			})
		}
	}
}

// The check values of CRC-64/XZ, whose parameters COS uses, and of CRC-64/NVME (catalog of
// parametrized CRC algorithms).
func TestUpdate_CheckValue(t *testing.T) {
	for name, want := range map[string]uint64{"ECMA": 0x995dc9bbdf1939fa, "NVME": 0xae8b14860a799888} {
		update := sums[name].update
		if got := update(0, []byte("123456789")); got != want {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
		if got := update(42, nil); got != 42 {
			t.Errorf("%s of no bytes: %x", name, got)
		}
	}
}

// Every alignment to a block, and every length up to several blocks.
func TestUpdate_Alignments(t *testing.T) {
	body := randomBody(64 + 6*64)
	for name, sum := range sums {
		for start := range 64 {
			for n := range len(body) - start + 1 {
				part := body[start : start+n]
				if got, want := sum.update(7, part), standard.Update(7, sum.table, part); got != want {
					t.Fatalf("%s of %d bytes from %d: %x, want %x", name, n, start, got, want)
				}
			}
		}
	}
}

// The checksum does not depend on where the bytes are split.
func TestUpdate_Splits(t *testing.T) {
	body := randomBody(1100)
	for name, sum := range sums {
		want := standard.Checksum(body, sum.table)
		for split := range len(body) + 1 {
			if got := sum.update(sum.update(0, body[:split]), body[split:]); got != want {
				t.Fatalf("%s split at %d: %x, want %x", name, split, got, want)
			}
		}
	}
}

func TestUpdate_LeavesInput(t *testing.T) {
	body := randomBody(2000) // hash/crc64 allocates from 2048 bytes on
	before := string(body)
	for name, sum := range sums {
		if n := testing.AllocsPerRun(10, func() { sum.update(1, body) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if string(body) != before {
			t.Errorf("%s: the input is changed", name)
		}
	}
}

func randomBody(n int) []byte {
	body := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	return body
}
