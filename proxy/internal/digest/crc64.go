package digest

import (
	"encoding/binary"

	"cosproxy/proxy/internal/crc64"
)

// crc64NVME is a hash.Hash of CRC-64/NVME.
type crc64NVME uint64

func (c *crc64NVME) Write(p []byte) (int, error) {
	*c = crc64NVME(crc64.UpdateNVME(uint64(*c), p))
	return len(p), nil
}

func (c *crc64NVME) Sum(b []byte) []byte { return binary.BigEndian.AppendUint64(b, uint64(*c)) }
func (c *crc64NVME) Reset()              { *c = 0 }
func (c *crc64NVME) Size() int           { return 8 }
func (c *crc64NVME) BlockSize() int      { return 1 }
