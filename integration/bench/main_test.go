//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary run the roles of the program.
func TestMain(m *testing.M) {
	if code, ok := runRole(os.Args[1:], os.Stdout, os.Stderr); ok {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// build returns the path of a cosproxy built with tags.
func build(t *testing.T, tags string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cosproxy")
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", file, "cosproxy/cmd/cosproxy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// TestRun_AllParts measures everything for a very short time.
func TestRun_AllParts(t *testing.T) {
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{
		"-cosproxy", build(t, ""), "-rounds", "1", "-duration", "5ms", "-size", "1M", "-connections", "1,4", "-markdown",
		"-peers", "cosproxy,nginx+lua,reverseproxy",
	}, &out, &progress)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, &progress, &out)
	}
	for _, want := range []string{
		"| 1 KiB GET, plain, 1 / 4 connections, CPU µs per request ", "| 1 KiB PUT, TLS, 1 / 4 connections, requests/s ",
		"| 1 MiB PUT, TLS, one / eight at once, GB/s ", "| peak RSS MiB, 8 × 1 MiB, plain, GET / PUT ",
		"| 1 KiB S3 GET, TLS, 1 / 4 connections, CPU µs per request × COS ", "| 1 KiB S3 GET, plain, 1 / 4 connections, requests/s ",
		"| 1 MiB S3 PUT in aws-chunked, plain, one / eight at once, GB/s × COS ", "| 1 MiB S3 PUT in aws-chunked, TLS, one / eight at once, CPU s per GiB ",
		"| start to first response, plain, ms ", "| TLS reconnections resumed, % ", "| binary, MiB ", " cosproxy |", " reverseproxy |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if !strings.Contains(out.String(), nameLua) && !strings.Contains(progress.String(), "skipped: "+nameLua) {
		t.Errorf("%s was neither measured nor named as missing:\n%s", nameLua, &progress)
	}
}

// TestRun_S3 measures only cosproxy, and the ratio of S3 to COS.
func TestRun_S3(t *testing.T) {
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{
		"-cosproxy", build(t, ""), "-only", "s3", "-tls", "off", "-rounds", "1", "-duration", "5ms", "-size", "1M", "-connections", "1", "-markdown",
	}, &out, &progress)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, &progress, &out)
	}
	for _, row := range []string{
		"1 KiB S3 GET, plain, 1 connections, CPU µs per request × COS", "1 KiB GET, plain, 1 connections, CPU µs per request",
		"1 MiB S3 PUT in aws-chunked, plain, one / eight at once, GB/s × COS", "1 MiB PUT, plain, one / eight at once, GB/s",
	} {
		if !regexp.MustCompile(`(?m)^\| ` + row + ` +\| +[0-9./ ]+ \|$`).MatchString(out.String()) {
			t.Errorf("the report lacks a row %q with figures of cosproxy alone:\n%s", row, &out)
		}
	}
	for _, not := range []string{"1 KiB PUT", "1 MiB GET", nameNginx} {
		if strings.Contains(out.String(), not) {
			t.Errorf("the report has %q:\n%s", not, &out)
		}
	}
}

func TestRun_Profile(t *testing.T) {
	var out, progress bytes.Buffer
	file := filepath.Join(t.TempDir(), "default.pgo")
	code := run(t.Context(), []string{
		"-cosproxy", build(t, "pgo"), "-pgo", file, "-rounds", "1", "-duration", "50ms", "-size", "1M", "-connections", "4",
	}, &out, &progress)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, &progress)
	}
	text, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput()
	if err != nil || !strings.Contains(string(text), "cosproxy/proxy") {
		t.Errorf("%v: the profile does not show package proxy:\n%s", err, text)
	}
}

func TestRun_MissingPeers(t *testing.T) {
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{
		"-nginx", "/nowhere/nginx", "-cosproxy", "/nowhere/cosproxy", "-peers", "nginx,nginx+lua", "-rounds", "1", "-only", "small",
	}, &out, &progress)
	if code != 0 {
		t.Errorf("exit code %d without nginx", code)
	}
	for _, name := range []string{nameNginx, nameLua} {
		if !strings.Contains(progress.String(), "skipped: "+name+": ") || !strings.Contains(out.String(), "\n- "+name+": ") {
			t.Errorf("%s is not named as missing:\n%s%s", name, &progress, &out)
		}
	}
	if code := run(t.Context(), []string{"-cosproxy", "/nowhere/cosproxy"}, &out, &progress); code != 1 {
		t.Errorf("exit code %d without a cosproxy", code)
	}
}

func TestRun_Usage(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "most"}, {"-tls", "maybe"}, {"-connections", "1,x"}, {"-connections", "0"}, {"-size", "1T"}, {"-size", "0"},
		{"-peers", "haproxy"}, {"-only", "s3", "-peers", "cosproxy,nginx"}, {"-rounds", "0"}, {"-duration", "0s"}, {"-unknown"}, {"argument"},
	} {
		var progress bytes.Buffer
		if code := run(t.Context(), args, &progress, &progress); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}
