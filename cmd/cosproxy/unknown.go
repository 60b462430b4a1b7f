package main

import (
	"maps"
	"slices"
	"strings"
)

const prefix = "COSPROXY_"

// warnUnknown tells of variables that look like settings and are none, which
// are mostly slips of the pen.
func (c *config) warnUnknown(vars map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		known := settings()
		if begin := routeVariable.FindString(name); begin != "" {
			known = routeSettings(begin)
		}
		rest, ok := strings.CutPrefix(name, prefix)
		isKnown := slices.ContainsFunc(known, func(s setting) bool { return s.variable == name })
		if !ok || isKnown || isServiceLink(rest) {
			continue
		}
		nearest := slices.MinFunc(known, func(a, b setting) int {
			return distance(name, a.variable) - distance(name, b.variable)
		})
		c.warn("%s is no setting of cosproxy; the nearest is %s", name, nearest.variable)
	}
}

// isServiceLink knows the variables that Kubernetes sets in every pod beside a
// Service named cosproxy (Kubernetes document "Service", Environment variables).
func isServiceLink(rest string) bool {
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

// distance is the Levenshtein distance of two ASCII strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
