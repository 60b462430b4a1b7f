//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// reportRow is one row of the report: a metric of some cells, for each peer.
type reportRow struct {
	name      string
	cells     []cell
	metric    metric
	precision int
	reference string // peer that ratios refer to, or sameInCOS; "" for none
}

// writeReport prints the ratios, the figures and the measurements that failed.
func writeReport(w io.Writer, s *settings, peers []peer, r *recorder) {
	writeMachine(w, s, r.load)
	lines := reportRows(s)
	ratios := table{title: fmt.Sprintf("Ratios, medians of %d rounds", s.rounds), header: header(peers)}
	figures := table{title: fmt.Sprintf("Figures, medians of %d rounds", s.rounds), header: header(peers)}
	for _, l := range lines {
		figures.add(l.row(l.name, peers, func(c cell, name string) (float64, bool) {
			return r.median(s.rounds, c, name, l.metric)
		}, l.precision)...)
		if l.reference != "" {
			ratios.add(l.row(l.name+" × "+l.reference, peers, func(c cell, name string) (float64, bool) {
				return r.ratio(s.rounds, c, name, l.reference, l.metric)
			}, 2)...)
		}
	}
	if s.measures("start") {
		figures.add(sizeRow(peers)...)
	}
	ratios.write(w, s.markdown)
	figures.write(w, s.markdown)
	if len(r.failures) > 0 {
		fmt.Fprintf(w, "\nNot measured:\n\n")
		for _, f := range r.failures {
			fmt.Fprintln(w, "- "+strings.Join(strings.Fields(f), " "))
		}
	}
}

func header(peers []peer) []string {
	h := []string{"figure"}
	for _, p := range peers {
		h = append(h, p.name)
	}
	return h
}

func (l reportRow) row(name string, peers []peer, value func(c cell, peer string) (float64, bool), precision int) []string {
	row := []string{name}
	for _, p := range peers {
		row = append(row, joinValues(len(l.cells), precision, func(i int) (float64, bool) { return value(l.cells[i], p.name) }))
	}
	return row
}

// reportRows returns the rows of the measured parts.
func reportRows(s *settings) []reportRow {
	var lines []reportRow
	for _, kind := range []string{"small", "large"} {
		for _, t := range s.transports {
			for _, m := range methods {
				lines = append(lines, loadRows(s, cell{kind: kind, transport: t, method: m})...)
				lines = append(lines, loadRows(s, cell{kind: kind, transport: t, method: m, s3: true})...)
			}
		}
	}
	for _, t := range s.transports {
		lines = append(lines, memoryRows(s, t)...)
	}
	for _, t := range s.transports {
		lines = append(lines, startRows(s, t)...)
	}
	return lines
}

// loadRows returns the rows of the cells that are equal to c but for parallel.
func loadRows(s *settings, c cell) []reportRow {
	switch {
	case !s.includes(c):
		return nil
	case c.kind == "small":
		return smallRows(s, c)
	}
	return largeRows(s, c)
}

func smallRows(s *settings, c cell) []reportRow {
	var conns []string
	for _, n := range s.connections {
		conns = append(conns, fmt.Sprint(n))
	}
	cs := withParallel(c, s.connections)
	name := fmt.Sprintf("1 KiB %s, %s, %s connections, ", c.request(), c.transport, strings.Join(conns, " / "))
	return []reportRow{
		{name + "CPU µs per request", cs, cpuPerRequest, 1, reference(s, c, nameLua)},
		{name + "requests/s", cs, requestsPerSec, 0, ""},
	}
}

func largeRows(s *settings, c cell) []reportRow {
	cs := withParallel(c, largeParallel)
	name := fmt.Sprintf("%s %s, %s, one / eight at once, ", formatSize(s.size), c.request(), c.transport)
	return []reportRow{
		{name + "GB/s", cs, gigabytes, 2, reference(s, c, nameNginx)},
		{name + "CPU s per GiB", cs, cpuPerGiB, 2, reference(s, c, nameNginx)},
	}
}

func withParallel(c cell, parallel []int) []cell {
	var cs []cell
	for _, n := range parallel {
		c.parallel = n
		cs = append(cs, c)
	}
	return cs
}

// reference returns what the ratios of a cell refer to: the peer, or for requests of S3
// the same in the dialect of COS.
func reference(s *settings, c cell, peer string) string {
	switch {
	case c.s3:
		return sameInCOS
	case s.only == "s3": // the peer is not measured
		return ""
	}
	return peer
}

func memoryRows(s *settings, t transport) []reportRow {
	if !s.measures("large") && s.only != "rss" {
		return nil
	}
	var cs []cell
	for _, m := range methods {
		cs = append(cs, cell{kind: "large", transport: t, method: m, parallel: largeParallel[1]})
	}
	return []reportRow{{fmt.Sprintf("peak RSS MiB, %d × %s, %s, GET / PUT", largeParallel[1], formatSize(s.size), t), cs, peakMiB, 1, ""}}
}

func startRows(s *settings, t transport) []reportRow {
	if !s.measures("start") {
		return nil
	}
	cs := []cell{{kind: "start", transport: t}}
	lines := []reportRow{
		{fmt.Sprintf("start to first response, %s, ms", t), cs, coldStartMs, 1, ""},
		{fmt.Sprintf("idle RSS, %s, MiB", t), cs, idleMiB, 1, ""},
	}
	if t == overTLS {
		lines = append(lines, reportRow{"TLS reconnections resumed, %", cs, resumedPercent, 0, ""})
	}
	return lines
}

// sizeRow returns the row with the size of each binary.
func sizeRow(peers []peer) []string {
	row := []string{"binary, MiB"}
	for _, p := range peers {
		size := missing
		if info, err := os.Stat(p.binary); err == nil {
			size = fmt.Sprintf("%.1f", float64(info.Size())/(1<<20))
		}
		row = append(row, size)
	}
	return row
}
