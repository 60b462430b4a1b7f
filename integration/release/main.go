// Command release builds what a release consists of: an archive of cosproxy and cosemu
// for each platform, a bill of materials (CycloneDX) and SHA256SUMS. It builds a clean
// clone of the last commit, so that two builds with the same Go release are equal,
// byte for byte. With -compare it builds a second time, with an empty build cache, and
// compares the result with the first.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const sbomTool = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

func main() {
	out := flag.String("out", "", "`folder` to write to; an earlier release in it is removed")
	compare := flag.String("compare", "", "`folder` of an earlier build of this commit to compare a second build with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *out, *compare)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, compare string) (err error) {
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
		return build(ctx, work, out)
	}
	second := filepath.Join(work, "dist")
	if err := build(ctx, work, second, "GOCACHE="+filepath.Join(work, "cache")); err != nil {
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

// build writes the release of the last commit to the folder out. It clones and
// builds in the folder work.
func build(ctx context.Context, work, out string, env ...string) error {
	tree := filepath.Join(work, "cosproxy")
	if _, err := output(ctx, ".", nil, "git", "clone", "--quiet", ".", tree); err != nil {
		return err
	}
	version, err := output(ctx, tree, nil, "git", "describe", "--tags", "--always")
	if err != nil {
		return err
	}
	version = strings.TrimPrefix(version, "v")
	seconds, err := output(ctx, tree, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	committed, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	// The caller's Go settings must not change the result. The SBOM has the checksum of
	// the tool that writes it, so that is built with -trimpath as well.
	env = append(env, "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	for _, t := range targets {
		name := t.name(version)
		bin := filepath.Join(work, name)
		if _, err := output(ctx, tree, append(env, "GOOS="+t.os, "GOARCH="+t.arch), "go", "build", "-buildvcs=true",
			"-ldflags", "-s -w", "-o", bin+string(filepath.Separator), "./cmd/cosproxy", "./cmd/cosemu"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		archive, err := t.pack(name, time.Unix(committed, 0).UTC(), t.files(tree, bin))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(out, name+t.extension()), archive, 0o644); err != nil {
			return err
		}
		fmt.Println(name + t.extension())
	}
	bill, err := output(ctx, tree, env, "go", "run", sbomTool, "mod", "-json", "-licenses", "-std", "-type", "application",
		"-noserial", "-notimestamp", "-output", "-", ".")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "cosproxy-"+version+".cdx.json"), []byte(bill+"\n"), 0o644); err != nil {
		return err
	}
	return writeSums(out)
}

// output runs a command in the folder dir, with variables besides its own, and returns
// what it prints, without spaces at the ends.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, problems.String())
	}
	return strings.TrimSpace(string(text)), nil
}
