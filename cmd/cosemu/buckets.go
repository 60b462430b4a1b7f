package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultBucket = "examplebucket-1250000000"
	defaultRegion = "ap-guangzhou"
)

// servedBuckets returns the buckets and the region to serve: those of the environment,
// which CMD uses by default, and those of the flags.
func servedBuckets(flagBuckets, flagRegion string, environ []string) (buckets []string, region string, err error) {
	add := func(name string) {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(buckets, name) {
			buckets = append(buckets, name)
		}
	}
	setBy := "-region"
	region = flagRegion
	for _, prefix := range append([]string{"COSPROXY_"}, routePrefixes(environ)...) {
		add(lookup(environ, prefix+"BUCKET"))
		value := lookup(environ, prefix+"REGION")
		if region != "" && value != "" && region != value {
			return nil, "", fmt.Errorf("%s is %s, but %sREGION is %s, and cosemu serves one region: remove one of them", setBy, region, prefix, value)
		}
		if region == "" && value != "" {
			region, setBy = value, prefix+"REGION"
		}
	}
	for name := range strings.SplitSeq(flagBuckets, ",") {
		add(name)
	}
	if len(buckets) == 0 {
		add(defaultBucket)
	}
	return buckets, cmp.Or(region, defaultRegion), nil
}

// routeVariable matches a setting of a numbered route of cosproxy.
var routeVariable = regexp.MustCompile(`^COSPROXY_ROUTES_(0|[1-9][0-9]{0,2})_`)

// routePrefixes returns the prefixes of the variables of the routes in environ, by
// number.
func routePrefixes(environ []string) []string {
	prefixes := make(map[int]string)
	for _, pair := range environ {
		if match := routeVariable.FindStringSubmatch(pair); match != nil {
			n, _ := strconv.Atoi(match[1]) // three digits at most
			prefixes[n] = match[0]
		}
	}
	var ordered []string
	for _, n := range slices.Sorted(maps.Keys(prefixes)) {
		ordered = append(ordered, prefixes[n])
	}
	return ordered
}
