package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// instruction is a line of a Dockerfile.
type instruction struct{ name, args string }

// readDockerfile returns the instructions of each stage.
func readDockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	content, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(content), "")
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
	for line := range strings.Lines(text) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if name != "" {
			stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, args})
		}
	}
	return stages
}

// TestDockerfile_SameConfiguration compares the last stage with the image of this program.
// In addition, BuildKit sets the default PATH.
func TestDockerfile_SameConfiguration(t *testing.T) {
	stages := readDockerfile(t)
	if len(stages) != 2 {
		t.Fatalf("%d stages, want 2", len(stages))
	}
	got := make(map[string][]string)
	for _, i := range stages[1] {
		got[i.name] = append(got[i.name], i.args)
	}
	labels := make(map[string]string)
	for _, match := range regexp.MustCompile(`(\S+)="([^"]*)"`).FindAllStringSubmatch(strings.Join(got["LABEL"], " "), -1) {
		labels[match[1]] = match[2]
	}
	delete(got, "LABEL")
	build := &source{version: "$VERSION", revision: "$REVISION"}
	want := build.labels()
	want["org.opencontainers.image.created"] = "$CREATED"
	if !maps.Equal(labels, want) {
		t.Errorf("labels %v, want %v", labels, want)
	}
	check := imageHealthcheck
	if !reflect.DeepEqual(got, map[string][]string{
		"FROM":       {"scratch"},
		"ARG":        {"VERSION", "REVISION", "CREATED"},
		"COPY":       {"--from=build /image/ /"},
		"USER":       {imageUser},
		"ENTRYPOINT": {execForm(t, imageEntrypoint)},
		"HEALTHCHECK": {fmt.Sprintf("--interval=%s --timeout=%s --start-period=%s CMD %s",
			seconds(check.Interval), seconds(check.Timeout), seconds(check.StartPeriod), execForm(t, check.Test[1:]))},
	}) {
		t.Errorf("the last stage is %v", got)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", d/time.Second) }

// execForm returns words as the JSON list of a Dockerfile.
func execForm(t *testing.T, words []string) string {
	t.Helper()
	text, err := json.Marshal(words)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), ",", ", ")
}

// TestDockerfile_SameBuild compares the first stage with the build of this program.
func TestDockerfile_SameBuild(t *testing.T) {
	var got []string
	for _, i := range readDockerfile(t)[0] {
		got = append(got, i.name+" "+i.args)
	}
	goMod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(goMod)[1]
	flags := strings.Join(buildFlags, " ")
	flags = strings.Replace(flags, "-s -w", "'-s -w'", 1)
	if want := []string{
		"FROM --platform=$BUILDPLATFORM golang:" + string(release) + " AS build",
		"ENV " + strings.Join(buildEnv, " "),
		"RUN go install " + sbomTool + "@" + sbomVersion,
		"WORKDIR /src",
		"COPY . .",
		"ARG TARGETOS",
		"ARG TARGETARCH",
		"ENV GOOS=$TARGETOS GOARCH=$TARGETARCH",
		"RUN go build " + flags + " -o /image/cosproxy ./cmd/cosproxy",
		"RUN cyclonedx-gomod mod " + strings.Join(sbomFlags, " ") + " -output /image/sbom.cdx.json .",
		"RUN chmod 0644 /image/sbom.cdx.json && install -m 0644 LICENSE /image/LICENSE",
	}; !slices.Equal(got, want) {
		t.Errorf("the first stage is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDockerfile_SameLabels runs the command in the first lines of the Dockerfile, with a
// docker that prints its arguments, in a repository with a tag and a commit of another time zone.
func TestDockerfile_SameLabels(t *testing.T) {
	content, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var command []string
	for line := range strings.Lines(string(content)) {
		if text, found := strings.CutPrefix(line, "#   "); found {
			command = append(command, text)
		}
	}
	s := &source{tree: t.TempDir()}
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := output(t.Context(), s.tree, []string{"TZ=Asia/Shanghai", "GIT_COMMITTER_DATE=2026-01-02T03:04:05+0800"}, name, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("git", "init", "--quiet")
	run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "--message", "a")
	run("git", "tag", "v0.1.0")
	if err := s.readCommit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"build", "-t", "cosproxy", "--build-arg", "VERSION=0.1.0", "--build-arg", "REVISION=" + s.revision,
		"--build-arg", "CREATED=2026-01-01T19:04:05Z", ".",
	}
	got := strings.Split(run("sh", "-c", `docker() { printf '%s\n' "$@"; }; `+strings.Join(command, "")), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("docker gets\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if labels := s.labels(); labels["org.opencontainers.image.version"] != "0.1.0" || labels["org.opencontainers.image.created"] != "2026-01-01T19:04:05Z" {
		t.Errorf("labels %v", labels)
	}
}

// TestDockerignore_NoTrackedFile: if a tracked file were missing in the build, Go would
// call the version modified.
func TestDockerignore_NoTrackedFile(t *testing.T) {
	list := exec.Command("git", "ls-files", "--cached", "--ignored", "--exclude-from=.dockerignore")
	list.Dir = "../.."
	out, err := list.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: .dockerignore excludes tracked files:\n%s", err, out)
	}
}
