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
	reference string // peer that ratios refer to; "" for none
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
	for _, t := range s.transports {
		for _, m := range methods {
			lines = append(lines, smallRows(s, t, m)...)
		}
	}
	for _, t := range s.transports {
		for _, m := range methods {
			lines = append(lines, largeRows(s, t, m)...)
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

func smallRows(s *settings, t transport, method string) []reportRow {
	if !s.measures("small") {
		return nil
	}
	var cs []cell
	var conns []string
	for _, n := range s.connections {
		cs = append(cs, cell{"small", t, method, n})
		conns = append(conns, fmt.Sprint(n))
	}
	name := fmt.Sprintf("1 KiB %s, %s, %s connections, ", method, t, strings.Join(conns, " / "))
	return []reportRow{
		{name + "CPU µs per request", cs, cpuPerRequest, 1, nameLua},
		{name + "requests/s", cs, requestsPerSec, 0, ""},
	}
}

func largeRows(s *settings, t transport, method string) []reportRow {
	if !s.measures("large") {
		return nil
	}
	var cs []cell
	for _, n := range largeParallel {
		cs = append(cs, cell{"large", t, method, n})
	}
	name := fmt.Sprintf("%s %s, %s, one / eight at once, ", formatSize(s.size), method, t)
	return []reportRow{
		{name + "GB/s", cs, gigabytes, 2, nameNginx},
		{name + "CPU s per GiB", cs, cpuPerGiB, 2, nameNginx},
	}
}

func memoryRows(s *settings, t transport) []reportRow {
	if !s.measures("large") && s.only != "rss" {
		return nil
	}
	var cs []cell
	for _, m := range methods {
		cs = append(cs, cell{"large", t, m, largeParallel[1]})
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
