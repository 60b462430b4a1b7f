//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are the flags. The smallest run takes two seconds, the defaults take about
// four minutes on two cores.
type settings struct {
	rounds      int
	transports  []transport
	only        string // one of parts; "" is all but rss, which is part of large
	connections []int
	size        int64         // of a large body, in bytes
	duration    time.Duration // of one small measurement
	peers       []string      // names; nil is all
	cosproxy    string        // path of the binary
	baseline    string        // path of another cosproxy; "" means none
	nginx       string        // name or path of the binary
	markdown    bool
	pgo         string // file to write the profile to; "" means none
}

// parts are the values of -only.
var parts = []string{"small", "large", "s3", "rss", "start"}

// transport is how a peer reaches the upstream.
type transport string

const (
	plain   transport = "plain"
	overTLS transport = "TLS"
)

func parseSettings(args []string, usage io.Writer) (*settings, error) {
	s := new(settings)
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	f.IntVar(&s.rounds, "rounds", 3, "number of rounds; figures are their medians")
	tls := f.String("tls", "both", "transports to the upstream: both, only (TLS), off (plain)")
	f.StringVar(&s.only, "only", "", "measure only this: "+strings.Join(parts, ", "))
	conns := f.String("connections", "1,16,64,256", "connections of the small requests")
	size := f.String("size", "128M", "length of a large body, such as 1G")
	f.DurationVar(&s.duration, "duration", 300*time.Millisecond, "time for one small measurement")
	peers := f.String("peers", "", "peers to measure, comma-separated (default all)")
	f.StringVar(&s.cosproxy, "cosproxy", "bin/cosproxy", "cosproxy binary")
	f.StringVar(&s.baseline, "baseline", "", "another cosproxy binary, measured as peer \"baseline\"")
	f.StringVar(&s.nginx, "nginx", "nginx", "nginx binary")
	f.BoolVar(&s.markdown, "markdown", false, "print Markdown, with date, CPU and commit")
	f.StringVar(&s.pgo, "pgo", "", "write the CPU profile of a cosproxy that was built with -tags pgo to this file, and do not compare")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err, tlsErr, sizeErr error
	s.transports, tlsErr = parseTransports(*tls)
	s.connections, err = parseConnections(*conns)
	s.size, sizeErr = parseSize(*size)
	switch {
	case *peers != "":
		s.peers = strings.Split(*peers, ",")
	case s.only == "s3":
		s.peers = s3Peers
	}
	return s, errors.Join(tlsErr, err, sizeErr, s.check())
}

func (s *settings) check() error {
	if s.rounds < 1 || s.duration <= 0 {
		return errors.New("-rounds and -duration must be positive")
	}
	if s.only != "" && !slices.Contains(parts, s.only) {
		return fmt.Errorf("-only %s: want one of %s", s.only, strings.Join(parts, ", "))
	}
	for _, name := range s.peers {
		if !slices.Contains(peerNames, name) {
			return fmt.Errorf("-peers %s: want some of %s", name, strings.Join(peerNames, ","))
		}
		if s.only == "s3" && !slices.Contains(s3Peers, name) {
			return fmt.Errorf("-only s3 -peers %s: want some of %s", name, strings.Join(s3Peers, ","))
		}
	}
	return nil
}

// measures reports whether the settings include the part.
func (s *settings) measures(part string) bool {
	return s.only == part || s.only == "" && part != "rss"
}

// s3Methods are the methods of the requests in the dialect of S3, by the kind of cell.
var s3Methods = map[string]string{"small": "GET", "large": "PUT"}

// includes reports whether the settings include a small or large cell. Those of S3 need
// the same requests in the dialect of COS.
func (s *settings) includes(c cell) bool {
	s3 := s.measures("s3") && c.method == s3Methods[c.kind]
	switch {
	case c.s3:
		return s3
	case s.only == "rss":
		return c.kind == "large" && c.parallel > 1
	}
	return s3 || s.measures(c.kind)
}

func parseTransports(v string) ([]transport, error) {
	switch v {
	case "both":
		return []transport{plain, overTLS}, nil
	case "only":
		return []transport{overTLS}, nil
	case "off":
		return []transport{plain}, nil
	}
	return nil, fmt.Errorf("-tls %s: want both, only or off", v)
}

func parseConnections(v string) ([]int, error) {
	var ns []int
	for field := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || n > 4096 {
			return nil, fmt.Errorf("-connections %s: want numbers from 1 to 4096", v)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// parseSize reads a number of bytes with an optional K, M or G.
func parseSize(v string) (int64, error) {
	digits, shift := v, 0
	for suffix, s := range map[string]int{"K": 10, "M": 20, "G": 30} {
		if d, ok := strings.CutSuffix(v, suffix); ok {
			digits, shift = d, s
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("-size %s: want bytes, such as 1048576, 256M or 1G", v)
	}
	return n << shift, nil
}

// formatSize formats a size for the report.
func formatSize(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
