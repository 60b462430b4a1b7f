// Command release builds what a release consists of: an archive of cosproxy and cosemu
// for each platform, a container image, a bill of materials (CycloneDX) and SHA256SUMS. It
// builds a clean clone of the last commit, so that two builds with the same Go release are
// equal, byte for byte. With -image it builds the image alone. With -compare it builds a
// second time, with an empty build cache, and compares the result with the first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "`folder` to write to; an earlier release in it is removed")
	compare := flag.String("compare", "", "`folder` of an earlier build of this commit to compare a second build with")
	image := flag.Bool("image", false, "build only the container image")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *out, *compare, *image)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, compare string, imageOnly bool) (err error) {
	if (out == "") == (compare == "") || flag.NArg() > 0 {
		return errors.New("write either -out FOLDER or -compare FOLDER")
	}
	work, err := os.MkdirTemp("", "cosproxy-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if out != "" {
		if err := clearFolder(out); err != nil {
			return err
		}
		return build(ctx, work, out, imageOnly)
	}
	second := filepath.Join(work, "dist")
	if err := build(ctx, work, second, imageOnly, "GOCACHE="+filepath.Join(work, "cache")); err != nil {
		return err
	}
	return compareFolders(compare, second)
}

// clearFolder removes the folder out, if it holds a release or nothing.
func clearFolder(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(out, sumsFile)); err != nil && len(entries) > 0 {
		return fmt.Errorf("%s holds no complete release (%w); remove it or name another folder", out, err)
	}
	return os.RemoveAll(out)
}
