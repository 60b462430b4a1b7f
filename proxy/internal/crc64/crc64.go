// Package crc64 computes the CRC-64 of COS (x-cos-hash-crc64ecma; COS document "CRC64
// verification"), which is CRC-64/ECMA-182, and that of S3 (x-amz-checksum-crc64nvme),
// which is CRC-64/NVME. Use hash/crc64 where speed does not matter. The build tag purego
// leaves out the assembly.
package crc64

import (
	"encoding/binary"
	"hash/crc64"
)

// nvmePolynomial is the polynomial of CRC-64/NVME, 0xad93d23594c93659, reversed (NVM
// Express, "NVM Command Set Specification"; catalog of parametrized CRC algorithms).
const nvmePolynomial = 0x9a6c9329ac4bc9b5

var (
	ecma = newPolynomial(crc64.ECMA)
	nvme = newPolynomial(nvmePolynomial)
)

// Update adds p to crc, as crc64.Update does with the ECMA table.
func Update(crc uint64, p []byte) uint64 { return ecma.update(crc, p) }

// UpdateNVME adds p to crc, as crc64.Update does with the table of CRC-64/NVME.
func UpdateNVME(crc uint64, p []byte) uint64 { return nvme.update(crc, p) }

// polynomial has the constants of one CRC.
type polynomial struct {
	table *crc64.Table
	// factors shift the two halves of 16 bytes by 64 bytes. They are powers of x modulo
	// the polynomial, with an exponent one less than the shift, because the product of
	// two reflected numbers is shifted by one bit.
	factors [2]uint64
}

// newPolynomial takes a polynomial in the reversed form of hash/crc64.
func newPolynomial(reversed uint64) *polynomial {
	return &polynomial{
		table:   crc64.MakeTable(reversed),
		factors: [2]uint64{powerOfX(8*64+64-1, reversed), powerOfX(8*64-1, reversed)},
	}
}

// update adds p to crc. It uses the carry-less multiplication of amd64 and arm64, which on
// amd64 is about seven times faster (BenchmarkUpdate): it folds p, a polynomial over GF(2),
// into 64 bytes with the same remainder modulo the polynomial of the CRC, and reduces these
// with the table. See Gopal et al., "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction" (Intel, 2009); the last steps of that method are not used.
func (c *polynomial) update(crc uint64, p []byte) uint64 {
	const block = 64
	if !canFold || len(p) < 4*block {
		return crc64.Update(crc, c.table, p)
	}
	var rest [block]byte
	copy(rest[:], p)
	// The CRC register acts like bytes before p.
	binary.LittleEndian.PutUint64(rest[:], binary.LittleEndian.Uint64(rest[:])^^crc)
	folded := len(p) / block * block
	fold(&rest, p[block:folded], &c.factors)
	return crc64.Update(crc64.Update(^uint64(0), c.table, rest[:]), c.table, p[folded:])
}

// powerOfX returns x^n modulo a polynomial in reversed form, with the lowest power in the
// highest bit, as the polynomial is written.
func powerOfX(n int, reversed uint64) uint64 {
	power := uint64(1) << 63
	for range n {
		power = power>>1 ^ power&1*reversed
	}
	return power
}
