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

// served returns the buckets and the region to serve: those of the flags, and
// those of the environment, which CMD uses before any other.
func served(flagBuckets, flagRegion string, environ []string) (buckets []string, region string, err error) {
	add := func(name string) {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(buckets, name) {
			buckets = append(buckets, name)
		}
	}
	from := "-region"
	region = flagRegion
	for _, begin := range append([]string{"COSPROXY_"}, routeSettings(environ)...) {
		add(lookup(environ, begin+"BUCKET"))
		named := lookup(environ, begin+"REGION")
		if region != "" && named != "" && region != named {
			return nil, "", fmt.Errorf("%s is %s, but %sREGION is %s, and cosemu serves one region: drop one of them", from, region, begin, named)
		}
		if region == "" && named != "" {
			region, from = named, begin+"REGION"
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

// routeVariable is a setting of one of several routes, numbered as cosproxy
// numbers them.
var routeVariable = regexp.MustCompile(`^COSPROXY_ROUTES_(0|[1-9][0-9]{0,2})_`)

// routeSettings returns what the names of each route's variables in environ
// begin with, by number.
func routeSettings(environ []string) []string {
	begins := make(map[int]string)
	for _, pair := range environ {
		if match := routeVariable.FindStringSubmatch(pair); match != nil {
			n, _ := strconv.Atoi(match[1]) // three digits at most
			begins[n] = match[0]
		}
	}
	var ordered []string
	for _, n := range slices.Sorted(maps.Keys(begins)) {
		ordered = append(ordered, begins[n])
	}
	return ordered
}
