//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.values, got, tt.want)
		}
	}
}

// TestRecorder_Ratio checks that the ratio is the median of the rounds' ratios, not
// the ratio of the medians.
func TestRecorder_Ratio(t *testing.T) {
	c := cell{"small", plain, "GET", 1, false}
	r := new(recorder)
	for _, v := range [][2]int{{10, 10}, {40, 20}, {90, 30}} {
		r.add(c, nameCosproxy, sample{requests: 1, cpu: time.Duration(v[0]) * time.Microsecond})
		r.add(c, nameLua, sample{requests: 1, cpu: time.Duration(v[1]) * time.Microsecond})
	}
	r.add(c, nameNginx, sample{requests: 1, cpu: time.Microsecond})
	if v, ok := r.ratio(3, c, nameCosproxy, nameLua, cpuPerRequest); v != 2 || !ok {
		t.Errorf("ratio %v, %v", v, ok)
	}
	if v, ok := r.median(3, c, nameCosproxy, cpuPerRequest); v != 40 || !ok {
		t.Errorf("median %v, %v", v, ok)
	}
	if _, ok := r.ratio(3, c, nameCosproxy, nameNginx, cpuPerRequest); ok {
		t.Error("a ratio to a peer that lacks rounds")
	}
	if _, ok := r.median(3, c, nameNginx, cpuPerRequest); ok {
		t.Error("a median over missing rounds")
	}
}

// TestRecorder_RatioToCOS checks that the reference of a request of S3 is the same
// request of COS to the same peer.
func TestRecorder_RatioToCOS(t *testing.T) {
	c := cell{"small", plain, "GET", 1, true}
	r := new(recorder)
	for peer, micros := range map[string]time.Duration{nameCosproxy: 10, nameLua: 70} {
		r.add(cell{"small", plain, "GET", 1, false}, peer, sample{requests: 1, cpu: micros * time.Microsecond})
	}
	r.add(c, nameCosproxy, sample{requests: 1, cpu: 12 * time.Microsecond})
	if v, ok := r.ratio(1, c, nameCosproxy, sameInCOS, cpuPerRequest); v != 1.2 || !ok {
		t.Errorf("ratio %v, %v", v, ok)
	}
	if _, ok := r.ratio(1, c, nameLua, sameInCOS, cpuPerRequest); ok {
		t.Error("a ratio of a peer without the requests of S3")
	}
}

func TestMetrics(t *testing.T) {
	s := sample{requests: 4, bytes: 2 << 30, elapsed: 2 * time.Second, cpu: time.Second, peak: 3 << 20, idle: 5 << 20, coldStart: 7 * time.Millisecond, resumed: 0.5}
	for _, tt := range []struct {
		name   string
		metric metric
		want   float64
	}{
		{"cpuPerRequest", cpuPerRequest, 250000}, {"requestsPerSec", requestsPerSec, 2}, {"gigabytes", gigabytes, 1.073741824},
		{"cpuPerGiB", cpuPerGiB, 0.5}, {"peakMiB", peakMiB, 3}, {"idleMiB", idleMiB, 5}, {"coldStartMs", coldStartMs, 7}, {"resumedPercent", resumedPercent, 50},
	} {
		if got := tt.metric(s); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWriteReport(t *testing.T) {
	s := &settings{rounds: 1, transports: []transport{plain}, only: "small", connections: []int{1, 16}, size: 1 << 20, cosproxy: "/nowhere", markdown: true}
	peers := []peer{{name: nameCosproxy}, {name: nameLua}}
	r := &recorder{load: "0.10"}
	for _, m := range methods {
		r.add(cell{"small", plain, m, 1, false}, nameCosproxy, sample{requests: 10, cpu: time.Millisecond, elapsed: time.Second})
		r.add(cell{"small", plain, m, 1, false}, nameLua, sample{requests: 10, cpu: 2 * time.Millisecond, elapsed: time.Second})
	}
	r.fail(cell{"small", plain, "GET", 16, false}, nameCosproxy, errors.New("it\nbroke"))
	var out strings.Builder
	writeReport(&out, s, peers, r)
	for _, want := range []string{
		"| 1 KiB GET, plain, 1 / 16 connections, CPU µs per request × nginx+lua | 0.50 / – |  1.00 / – |\n",
		"| 1 KiB PUT, plain, 1 / 16 connections, CPU µs per request | 100.0 / – | 200.0 / – |\n",
		"- cosproxy: small GET, plain, 16 at once: it broke\n", "load average 0.10 before, cosproxy of unknown origin\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if r.failed == nil {
		t.Error("a failure of cosproxy is not kept")
	}
}

func TestWriteReport_S3(t *testing.T) {
	s := &settings{rounds: 1, transports: []transport{plain}, only: "s3", connections: []int{1}, size: 1 << 20, cosproxy: "/nowhere", markdown: true}
	r := &recorder{load: "0.10"}
	for s3, speed := range map[bool]int64{false: 2, true: 1} {
		elapsed := sample{requests: 1, bytes: speed << 30, elapsed: time.Second, cpu: time.Second}
		for _, n := range largeParallel {
			r.add(cell{"large", plain, "PUT", n, s3}, nameCosproxy, elapsed)
		}
	}
	var out strings.Builder
	writeReport(&out, s, []peer{{name: nameCosproxy}}, r)
	for _, want := range []string{
		"| 1 MiB S3 PUT in aws-chunked, plain, one / eight at once, GB/s × COS          | 0.50 / 0.50 |\n",
		"| 1 MiB S3 PUT in aws-chunked, plain, one / eight at once, CPU s per GiB × COS | 2.00 / 2.00 |\n",
		"| 1 MiB PUT, plain, one / eight at once, CPU s per GiB                   | 0.50 / 0.50 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "× "+nameNginx) {
		t.Errorf("a ratio to a peer that is not measured:\n%s", &out)
	}
}

func TestTable_Text(t *testing.T) {
	tab := table{title: "Title", header: []string{"figure", "µ"}}
	var out strings.Builder
	tab.write(&out, false)
	if out.Len() > 0 {
		t.Errorf("an empty table: %q", &out)
	}
	tab.add("a", "1.25")
	tab.write(&out, false)
	if want := "\nTitle\nfigure     µ\na       1.25\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]string{"1G": "1 GiB", "256M": "256 MiB", "1536K": "1536 KiB", "1000": "1000 B"} {
		n, err := parseSize(in)
		if got := formatSize(n); got != want || err != nil {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

func TestCPUModel(t *testing.T) {
	if got := cpuModel("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nmodel name\t: Other\n"); got != "Some CPU: 3 GHz" {
		t.Errorf("%q", got)
	}
}
