//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// cell is one measurement of each peer in each round.
type cell struct {
	kind      string // small, large or start
	transport transport
	method    string // GET or PUT; "" for start
	parallel  int    // connections; 0 for start
	s3        bool   // requests in the dialect of S3
}

func (c cell) String() string {
	if c.kind == "start" {
		return fmt.Sprintf("start, %s", c.transport)
	}
	return fmt.Sprintf("%s %s, %s, %d at once", c.kind, c.request(), c.transport, c.parallel)
}

// request returns the name of the requests.
func (c cell) request() string {
	switch {
	case c.s3 && c.method == "PUT":
		return "S3 PUT in aws-chunked"
	case c.s3:
		return "S3 " + c.method
	}
	return c.method
}

// sample is the result of a cell for one peer in one round. Fields that the cell does
// not measure are 0.
type sample struct {
	requests, bytes int64
	elapsed, cpu    time.Duration
	peak            int64 // resident bytes

	coldStart time.Duration
	idle      int64   // resident bytes
	resumed   float64 // share of the TLS reconnections, 0 to 1
}

// recorder stores the samples.
type recorder struct {
	samples  map[cell]map[string][]sample // by peer; one for each round
	failures []string                     // for the report
	failed   error                        // failures of cosproxy itself
	load     string                       // load average of the machine before the first round
}

func (r *recorder) add(c cell, name string, s sample) {
	if r.samples == nil {
		r.samples = make(map[cell]map[string][]sample)
	}
	if r.samples[c] == nil {
		r.samples[c] = make(map[string][]sample)
	}
	r.samples[c][name] = append(r.samples[c][name], s)
}

// fail records that a cell failed in a round. The report then omits the cell of this
// peer.
func (r *recorder) fail(c cell, name string, err error) {
	err = fmt.Errorf("%s: %v: %w", name, c, err)
	r.failures = append(r.failures, err.Error())
	if name == nameCosproxy {
		r.failed = errors.Join(r.failed, err)
	}
}

// metric is a figure of a sample, such as CPU time per request.
type metric func(s sample) float64

func cpuPerRequest(s sample) float64  { return micros(s.cpu) / float64(s.requests) }
func requestsPerSec(s sample) float64 { return float64(s.requests) / s.elapsed.Seconds() }
func gigabytes(s sample) float64      { return float64(s.bytes) / s.elapsed.Seconds() / 1e9 }
func cpuPerGiB(s sample) float64      { return s.cpu.Seconds() * (1 << 30) / float64(s.bytes) }
func peakMiB(s sample) float64        { return float64(s.peak) / (1 << 20) }
func coldStartMs(s sample) float64    { return micros(s.coldStart) / 1e3 }
func idleMiB(s sample) float64        { return float64(s.idle) / (1 << 20) }
func resumedPercent(s sample) float64 { return 100 * s.resumed }
func micros(d time.Duration) float64  { return float64(d) / 1e3 }

// sameInCOS is the reference of cells in the dialect of S3: the same peer, with the same
// requests in the dialect of COS.
const sameInCOS = "COS"

// median returns the median of the metric over the rounds; ok is false if a round is
// missing.
func (r *recorder) median(rounds int, c cell, name string, m metric) (v float64, ok bool) {
	samples := r.samples[c][name]
	if len(samples) < rounds {
		return 0, false
	}
	values := make([]float64, rounds)
	for i, s := range samples {
		values[i] = m(s)
	}
	return median(values), true
}

// ratio returns the median over the rounds of the ratio between a peer and the
// reference in the same round. The reference is a peer, or sameInCOS.
func (r *recorder) ratio(rounds int, c cell, name, reference string, m metric) (v float64, ok bool) {
	samples, base := r.samples[c][name], r.samples[c][reference]
	if reference == sameInCOS {
		c.s3 = false
		base = r.samples[c][name]
	}
	if len(samples) < rounds || len(base) < rounds {
		return 0, false
	}
	values := make([]float64, rounds)
	for i := range samples {
		values[i] = m(samples[i]) / m(base[i])
	}
	return median(values), true
}

// median of at least one value; between the two in the middle of an even
// number.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
