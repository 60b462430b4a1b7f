package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sbomTool    = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod"
	sbomVersion = "v1.10.0"
)

// Flags of go build and of the SBOM tool. The Dockerfile has the same.
var (
	buildFlags = []string{"-buildvcs=true", "-ldflags", "-s -w"}
	sbomFlags  = []string{"-json", "-licenses", "-std", "-type", "application", "-noserial", "-notimestamp"}
	buildEnv   = []string{"CGO_ENABLED=0", "GOFLAGS=-trimpath"}
)

// source is a clean clone of the last commit, with the tools and settings to build it.
type source struct {
	work      string // folder of all that is built
	tree      string
	version   string // of the last tag, without v
	revision  string // the commit
	committed time.Time
	env       []string
}

// build writes the release of the last commit, or only its image, to the folder out. It
// clones and builds in the folder work.
func build(ctx context.Context, work, out string, imageOnly bool, env ...string) error {
	src, err := newSource(ctx, work, env)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	built := targets
	if imageOnly {
		built = imageTargets
	}
	for _, t := range built {
		bin, err := src.compile(ctx, t)
		if err != nil {
			return err
		}
		if imageOnly {
			continue
		}
		name := t.name(src.version)
		archive, err := t.pack(name, src.committed, t.files(src.tree, bin))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := write(out, name+t.extension(), archive); err != nil {
			return err
		}
	}
	if err := src.writeImage(ctx, out); err != nil {
		return err
	}
	if !imageOnly {
		bill, err := src.bill(ctx)
		if err != nil {
			return err
		}
		if err := write(out, "cosproxy-"+src.version+".cdx.json", bill); err != nil {
			return err
		}
	}
	return writeSums(out)
}

func write(folder, name string, content []byte) error {
	fmt.Println(name)
	return os.WriteFile(filepath.Join(folder, name), content, 0o644)
}

// newSource clones the last commit to the folder work, and installs the SBOM tool there.
func newSource(ctx context.Context, work string, env []string) (*source, error) {
	s := &source{work: work, tree: filepath.Join(work, "cosproxy")}
	if _, err := output(ctx, ".", nil, "git", "clone", "--quiet", ".", s.tree); err != nil {
		return nil, err
	}
	if err := s.readCommit(ctx); err != nil {
		return nil, err
	}
	// The caller's Go settings must not change the result. The SBOM has the checksum of
	// the tool that writes it, so that is built with -trimpath as well.
	s.env = slices.Concat(env, buildEnv, []string{"GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off"})
	_, err := s.output(ctx, []string{"GOBIN=" + work, "GOOS=", "GOARCH="}, "go", "install", sbomTool+"@"+sbomVersion)
	return s, err
}

// readCommit sets version, revision and committed to those of the last commit. The commands
// in the Dockerfile give the same.
func (s *source) readCommit(ctx context.Context) error {
	version, err := output(ctx, s.tree, nil, "git", "describe", "--tags", "--always")
	if err != nil {
		return err
	}
	s.version = strings.TrimPrefix(version, "v")
	commit, err := output(ctx, s.tree, nil, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return err
	}
	revision, seconds, _ := strings.Cut(commit, " ")
	committed, err := strconv.ParseInt(seconds, 10, 64)
	s.revision, s.committed = revision, time.Unix(committed, 0).UTC()
	return err
}

// compile builds the programs for t and returns their folder.
func (s *source) compile(ctx context.Context, t target) (bin string, err error) {
	bin = s.bin(t)
	args := slices.Concat([]string{"build"}, buildFlags, []string{"-o", bin + string(filepath.Separator), "./cmd/cosproxy", "./cmd/cosemu"})
	if _, err := s.output(ctx, t.environ(), "go", args...); err != nil {
		return "", fmt.Errorf("%s: %w", t.name(s.version), err)
	}
	return bin, nil
}

// bin is the folder of the programs for t.
func (s *source) bin(t target) string { return filepath.Join(s.work, t.name(s.version)) }

// bill returns the bill of materials. env may have GOOS and GOARCH.
func (s *source) bill(ctx context.Context, env ...string) ([]byte, error) {
	args := slices.Concat([]string{"mod"}, sbomFlags, []string{"-output", "-", "."})
	bill, err := s.output(ctx, env, filepath.Join(s.work, "cyclonedx-gomod"), args...)
	return []byte(bill + "\n"), err
}

// output runs a command in the tree, with the environment of s and env.
func (s *source) output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	return output(ctx, s.tree, slices.Concat(s.env, env), name, args...)
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
