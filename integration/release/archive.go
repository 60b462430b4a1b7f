package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// target is a platform, in the terms of GOOS and GOARCH.
type target struct{ os, arch string }

var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// name is that of the archive without its extension, and of the folder in it.
func (t target) name(version string) string {
	return "cosproxy-" + version + "-" + t.os + "-" + t.arch
}

// environ selects t as the platform that Go builds for.
func (t target) environ() []string { return []string{"GOOS=" + t.os, "GOARCH=" + t.arch} }

func (t target) extension() string {
	if t.os == "windows" {
		return ".zip"
	}
	return ".tar.gz"
}

// files are those of the archive: programs from bin, texts from the source tree.
func (t target) files(tree, bin string) []string {
	exe := ""
	if t.os == "windows" {
		exe = ".exe"
	}
	return []string{
		filepath.Join(tree, "LICENSE"), filepath.Join(tree, "README.md"),
		filepath.Join(bin, "cosemu"+exe), filepath.Join(bin, "cosproxy"+exe),
	}
}

// pack returns an archive of files below folder. It depends on nothing but the
// arguments and the content of the files: not on their owner, mode or time.
func (t target) pack(folder string, modified time.Time, files []string) ([]byte, error) {
	if t.os == "windows" {
		return packZip(folder, modified, files)
	}
	return packTar(folder, modified, files)
}

// mode is that of a file in an archive.
func mode(path string) fs.FileMode {
	switch filepath.Base(path) {
	case "LICENSE", "README.md":
		return 0o644
	}
	return 0o755
}

func packTar(folder string, modified time.Time, files []string) ([]byte, error) {
	var entries []tarFile
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		entries = append(entries, tarFile{folder + "/" + filepath.Base(path), mode(path), content})
	}
	var archive bytes.Buffer
	if err := writeTar(&archive, modified, entries); err != nil {
		return nil, err
	}
	return compress(archive.Bytes())
}

// tarFile is a regular file of a tar archive, owned by root.
type tarFile struct {
	name    string
	mode    fs.FileMode
	content []byte
}

func writeTar(archive io.Writer, modified time.Time, files []tarFile) error {
	w := tar.NewWriter(archive)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Name: f.name, Mode: int64(f.mode), Size: int64(len(f.content)), ModTime: modified,
		}); err != nil {
			return err
		}
		if _, err := w.Write(f.content); err != nil {
			return err
		}
	}
	return w.Close()
}

// compress returns content as gzip, without a name or time.
func compress(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // fails for an unknown level alone
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close()
	return packed.Bytes(), err
}

func packZip(folder string, modified time.Time, files []string) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		header := &zip.FileHeader{Name: folder + "/" + filepath.Base(path), Method: zip.Deflate, Modified: modified}
		header.SetMode(mode(path))
		entry, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}
