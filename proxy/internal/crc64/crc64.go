// Package crc64 computes the CRC-64 of COS (x-cos-hash-crc64ecma; COS document "CRC64
// verification"), which is CRC-64/ECMA-182. Use hash/crc64 where speed does not matter.
// The build tag purego leaves out the assembly.
package crc64

import (
	"encoding/binary"
	"hash/crc64"
)

var table = crc64.MakeTable(crc64.ECMA)

// Update adds p to crc, as crc64.Update does with the ECMA table. It uses the carry-less
// multiplication of amd64 and arm64, which on amd64 is about seven times faster
// (BenchmarkUpdate): it folds p, a polynomial over GF(2), into 64 bytes with the same
// remainder modulo the polynomial of the CRC, and reduces these with the table. See Gopal
// et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction"
// (Intel, 2009); the last steps of that method are not used.
func Update(crc uint64, p []byte) uint64 {
	const block = 64
	if !canFold || len(p) < 4*block {
		return crc64.Update(crc, table, p)
	}
	var rest [block]byte
	copy(rest[:], p)
	// The CRC register acts like bytes before p.
	binary.LittleEndian.PutUint64(rest[:], binary.LittleEndian.Uint64(rest[:])^^crc)
	folded := len(p) / block * block
	fold(&rest, p[block:folded], &factors)
	return crc64.Update(crc64.Update(^uint64(0), table, rest[:]), table, p[folded:])
}

// factors shift the two halves of 16 bytes by 64 bytes. They are powers of x modulo the
// polynomial, with an exponent one less than the shift, because the product of two
// reflected numbers is shifted by one bit.
var factors = [2]uint64{powerOfX(8*64 + 64 - 1), powerOfX(8*64 - 1)}

// powerOfX returns x^n modulo the polynomial, with the lowest power in the highest
// bit, as the polynomial is written.
func powerOfX(n int) uint64 {
	power := uint64(1) << 63
	for range n {
		power = power>>1 ^ power&1*crc64.ECMA
	}
	return power
}
