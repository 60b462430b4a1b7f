// Package crc64 computes the CRC-64 of COS (x-cos-hash-crc64ecma; COS document "CRC64
// verification"), which is CRC-64/ECMA-182. Use hash/crc64 where speed does not matter.
// The build tag purego leaves out the assembly.
package crc64

import (
	"encoding/binary"
	"hash/crc64"
)

var table = crc64.MakeTable(crc64.ECMA)

// Update adds p to crc, as crc64.Update does with the ECMA table. The carry-less
// multiplication of amd64 and arm64 makes it faster, on amd64 about seven times
// (BenchmarkUpdate). It replaces p, a polynomial over GF(2), by 64 bytes that have
// the same remainder modulo the polynomial of the CRC; the table reduces these. The
// method is that of Gopal et al., "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction" (Intel, 2009), without its last steps.
func Update(crc uint64, p []byte) uint64 {
	const block = 64
	if !canFold || len(p) < 4*block {
		return crc64.Update(crc, table, p)
	}
	var rest [block]byte
	copy(rest[:], p)
	// The register of a CRC counts like bytes in front of those to come.
	binary.LittleEndian.PutUint64(rest[:], binary.LittleEndian.Uint64(rest[:])^^crc)
	whole := len(p) / block * block
	fold(&rest, p[block:whole], &folding)
	return crc64.Update(crc64.Update(^uint64(0), table, rest[:]), table, p[whole:])
}

// folding are the factors that move the halves of 16 bytes on by 64 bytes: powers of
// x modulo the polynomial, less the one bit that a product of reflected numbers is
// too far on.
var folding = [2]uint64{powerOfX(8*64 + 64 - 1), powerOfX(8*64 - 1)}

// powerOfX returns x^n modulo the polynomial, with the lowest power in the highest
// bit, as the polynomial is written.
func powerOfX(n int) uint64 {
	power := uint64(1) << 63
	for range n {
		power = power>>1 ^ power&1*crc64.ECMA
	}
	return power
}
