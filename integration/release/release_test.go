package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var committed = time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)

// writeFiles writes what the files of t hold to new folders, with the given mode.
func writeFiles(t *testing.T, of target, perm fs.FileMode) (files []string) {
	t.Helper()
	files = of.files(t.TempDir(), t.TempDir())
	for _, path := range files {
		if err := os.WriteFile(path, []byte("content of "+filepath.Base(path)), perm); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// entry is a file of an archive.
type entry struct {
	name    string
	mode    fs.FileMode
	content string
}

func readTar(t *testing.T, archive []byte) (entries []entry) {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(committed) {
			t.Errorf("%s is of %v", header.Name, header.ModTime)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{header.Name, header.FileInfo().Mode(), string(content)})
	}
}

func readZip(t *testing.T, archive []byte) (entries []entry) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		if !f.Modified.Equal(committed) {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
		content, err := fs.ReadFile(r, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{f.Name, f.Mode(), string(content)})
	}
	return entries
}

// TestPack_DependsOnContentAlone packs the same content from two folders, with other
// modes and times.
func TestPack_DependsOnContentAlone(t *testing.T) {
	for _, of := range targets {
		name := of.name("0.1.0")
		t.Run(name, func(t *testing.T) {
			first, err := of.pack(name, committed, writeFiles(t, of, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			second, err := of.pack(name, committed, writeFiles(t, of, 0o700))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) {
				t.Error("two archives of one content differ")
			}
			read, exe := readTar, ""
			if of.os == "windows" {
				read, exe = readZip, ".exe"
			}
			want := []entry{
				{name + "/LICENSE", 0o644, "content of LICENSE"},
				{name + "/README.md", 0o644, "content of README.md"},
				{name + "/cosemu" + exe, 0o755, "content of cosemu" + exe},
				{name + "/cosproxy" + exe, 0o755, "content of cosproxy" + exe},
			}
			got := read(t, first)
			if len(got) != len(want) {
				t.Fatalf("%v, want %v", got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%v, want %v", got[i], want[i])
				}
			}
		})
	}
}

func TestCompareFolders(t *testing.T) {
	folder := func(content string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := writeSums(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	first, equal, other := folder("content"), folder("content"), folder("other content")
	if err := compareFolders(first, equal); err != nil {
		t.Error(err)
	}
	if err := compareFolders(first, other); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("%v; want that they differ", err)
	}
	if err := compareFolders(t.TempDir(), other); err == nil || !strings.Contains(err.Error(), "build the release first") {
		t.Errorf("%v; want a first build", err)
	}
}

// TestClearFolder_OtherFiles: a wrong -out must not remove what is not a release.
func TestClearFolder_OtherFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clearFolder(dir); err == nil {
		t.Error("a folder without a release was accepted")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if err := writeSums(dir); err != nil {
		t.Fatal(err)
	}
	if err := clearFolder(dir); err != nil {
		t.Error(err)
	}
	if err := clearFolder(dir); err != nil {
		t.Errorf("%v for a folder that does not exist", err)
	}
}
