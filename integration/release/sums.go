package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const sumsFile = "SHA256SUMS"

// writeSums writes the SHA-256 of every file in folder to a file there, in the form
// that sha256sum --check reads.
func writeSums(folder string) error {
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(folder, sumsFile), sums.Bytes(), 0o644)
}

// compareFolders fails unless the SHA256SUMS of both folders are equal.
func compareFolders(first, second string) error {
	var sums [2][]byte
	for i, folder := range []string{first, second} {
		var err error
		if sums[i], err = os.ReadFile(filepath.Join(folder, sumsFile)); err != nil {
			return fmt.Errorf("build the release first: %w", err)
		}
	}
	if !bytes.Equal(sums[0], sums[1]) {
		return errors.New("two builds of this commit differ:\n" + string(sums[0]) + "and\n" + string(sums[1]))
	}
	fmt.Printf("two builds are equal:\n%s", sums[0])
	return nil
}
