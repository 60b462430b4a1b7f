package cosemu

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

const (
	chunkSize   = 256 << 10
	inMemoryMax = 64 << 10
)

var (
	chunks   = sync.Pool{New: func() any { return new([chunkSize]byte) }}
	crcTable = crc64.MakeTable(crc64.ECMA)
)

// blob holds the bytes of an object or a part. It is complete and never changes. Short
// blobs are in memory, the others in a file.
type blob struct {
	size int64
	md5  [md5.Size]byte
	crc  uint64 // CRC-64/ECMA-182

	memory []byte
	file   string
}

// blobReader reads a blob. It stays valid after remove, since an open file survives
// unlink.
type blobReader struct {
	// ReadSeeker is the bare *os.File for a blob in a file, since net/http passes
	// only that to sendfile.
	io.ReadSeeker
	file *os.File
}

func (b *blob) open() (blobReader, error) {
	if b.file == "" {
		return blobReader{ReadSeeker: bytes.NewReader(b.memory)}, nil
	}
	f, err := os.Open(b.file)
	return blobReader{f, f}, err
}

// Close implements io.Closer.
func (r blobReader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

func (r blobReader) close() { _ = r.Close() }

func (b *blob) remove() {
	if b != nil && b.file != "" {
		_ = os.Remove(b.file) // Server.Close removes the directory
	}
}

// spool creates blobs in a directory.
type spool struct {
	dir  string
	next atomic.Uint64
}

// save reads r to its end. It stores nothing if r fails.
func (s *spool) save(r io.Reader) (*blob, error) {
	chunk := chunks.Get().(*[chunkSize]byte)
	n, err := fill(r, chunk[:])
	last := errors.Is(err, io.EOF)
	if last && n <= inMemoryMax {
		b := &blob{size: int64(n), memory: bytes.Clone(chunk[:n]), md5: md5.Sum(chunk[:n]), crc: crc64.Checksum(chunk[:n], crcTable)}
		chunks.Put(chunk)
		return b, nil
	}
	if err != nil && !last {
		chunks.Put(chunk)
		return nil, err
	}
	b := &blob{file: filepath.Join(s.dir, strconv.FormatUint(s.next.Add(1), 36))}
	if err := b.write(chunk, n, last, r); err != nil {
		b.remove()
		return nil, err
	}
	return b, nil
}

// write stores the first n bytes of chunk, and the rest of r unless last is set. MD5
// is the slowest part, so it runs in parallel: each chunk goes to the hasher last,
// which returns it to the pool.
func (b *blob) write(chunk *[chunkSize]byte, n int, last bool, r io.Reader) (err error) {
	f, err := os.OpenFile(b.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		chunks.Put(chunk)
		return fmt.Errorf("cosemu: storing a body: %w", err)
	}
	hasher := startHasher()
	defer func() {
		b.md5 = hasher.sum()
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	for {
		_, writeErr := f.Write(chunk[:n])
		b.size += int64(n)
		b.crc = crc64.Update(b.crc, crcTable, chunk[:n])
		hasher.add(chunk, n)
		if last || writeErr != nil {
			return writeErr
		}
		chunk = chunks.Get().(*[chunkSize]byte)
		var readErr error
		n, readErr = fill(r, chunk[:])
		last = errors.Is(readErr, io.EOF)
		if readErr != nil && !last {
			chunks.Put(chunk)
			return readErr
		}
	}
}

// fill reads until p is full or r fails. It returns io.EOF only if r did: io.ReadFull
// would hide whether a short body was complete.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// hasher computes MD5 on its own goroutine.
type hasher struct {
	in  chan hashInput
	out chan [md5.Size]byte
}

type hashInput struct {
	chunk *[chunkSize]byte
	n     int
}

func startHasher() hasher {
	h := hasher{in: make(chan hashInput, 2), out: make(chan [md5.Size]byte, 1)}
	go func() {
		sum := md5.New()
		for f := range h.in {
			sum.Write(f.chunk[:f.n])
			chunks.Put(f.chunk)
		}
		h.out <- [md5.Size]byte(sum.Sum(nil))
	}()
	return h
}

func (h hasher) add(chunk *[chunkSize]byte, n int) { h.in <- hashInput{chunk, n} }

// sum stops the hasher and returns the digest.
func (h hasher) sum() [md5.Size]byte {
	close(h.in)
	return <-h.out
}
