package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// routesFor is the smallest environment with two routes, with changes.
func routesFor(changes ...string) []string {
	return append([]string{
		"COSPROXY_SPLAY=0s",
		"COSPROXY_REGION=ap-guangzhou",
		"TENCENTCLOUD_SECRET_ID=AKIDexample",
		"TENCENTCLOUD_SECRET_KEY=" + testKey,
		"COSPROXY_ROUTES_0_BUCKET=photos-1250000000",
		"COSPROXY_ROUTES_0_ALLOW_PREFIXES=*",
		"COSPROXY_ROUTES_0_ALLOW_ACTIONS=read",
		"COSPROXY_ROUTES_0_PATH_PREFIX=/photos/",
		"COSPROXY_ROUTES_1_BUCKET=logs-1250000000",
		"COSPROXY_ROUTES_1_ALLOW_PREFIXES=app/*",
		"COSPROXY_ROUTES_1_ALLOW_ACTIONS=upload",
		"COSPROXY_ROUTES_1_PATH_PREFIX=/logs/",
	}, changes...)
}

func TestRouteMistakes(t *testing.T) {
	third := func(changes ...string) []string {
		return append([]string{"COSPROXY_ROUTES_2_BUCKET=more-1250000000", "COSPROXY_ROUTES_2_ALLOW_PREFIXES=a/*", "COSPROXY_ROUTES_2_ALLOW_ACTIONS=read"}, changes...)
	}
	tests := []struct {
		name    string
		changes []string
		want    []string // what each line of the error begins with
	}{
		{"none", nil, nil},
		{"three", third(), nil},
		{"short form as well", []string{"COSPROXY_BUCKET=a-1250000000", "COSPROXY_ALLOW_PREFIXES=a/*", "COSPROXY_ALLOW_ACTIONS=read", "COSPROXY_HOSTS=a"}, []string{
			"COSPROXY_BUCKET is set as well as settings that begin with COSPROXY_ROUTES_: remove it, or move it",
			"COSPROXY_ALLOW_PREFIXES is set as well", "COSPROXY_ALLOW_ACTIONS is set as well", "COSPROXY_HOSTS is set as well"}},
		{"gap", []string{"COSPROXY_ROUTES_3_BUCKET=a-1250000000", "COSPROXY_ROUTES_3_ALLOW_PREFIXES=a/*", "COSPROXY_ROUTES_3_ALLOW_ACTIONS=read"}, []string{
			"COSPROXY_ROUTES_2_BUCKET is missing: routes are numbered from 0 without a gap, and there is a COSPROXY_ROUTES_3_"}},
		{"one field alone", []string{"COSPROXY_ROUTES_2_DURATION=1h"}, []string{
			"COSPROXY_ROUTES_2_BUCKET is required: write for example examplebucket-1250000000", "COSPROXY_ROUTES_2_ALLOW_PREFIXES is required", "COSPROXY_ROUTES_2_ALLOW_ACTIONS is required"}},
		{"empty", []string{"COSPROXY_ROUTES_1_ALLOW_PREFIXES=", "COSPROXY_ROUTES_1_ALLOW_ACTIONS="}, []string{
			"COSPROXY_ROUTES_1_ALLOW_PREFIXES is required: write for example uploads/*,a.txt", "COSPROXY_ROUTES_1_ALLOW_ACTIONS is required"}},
		{"no region", []string{"COSPROXY_REGION=", "COSPROXY_ROUTES_1_REGION=ap-beijing"}, []string{
			"COSPROXY_ROUTES_0_REGION is required: write for example ap-guangzhou, or set COSPROXY_REGION for all routes"}},
		{"region of one", []string{"COSPROXY_ROUTES_1_REGION=Beijing"}, []string{`COSPROXY_ROUTES_1_REGION is wrong: "Beijing" is not a region`}},
		{"region of all", []string{"COSPROXY_REGION=Beijing"}, []string{`COSPROXY_REGION is wrong: "Beijing" is not a region`}},
		{"each its own", []string{"COSPROXY_ROUTES_0_BUCKET=photos", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=/app/*", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=put"}, []string{
			`COSPROXY_ROUTES_0_BUCKET is wrong: "photos"`, `COSPROXY_ROUTES_1_ALLOW_PREFIXES is wrong: "/app/*" begins with a slash`, `COSPROXY_ROUTES_1_ALLOW_ACTIONS is wrong: unknown action "put"`}},
		{"unreadable in both", []string{"COSPROXY_ROUTES_0_DURATION=30", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=,"}, []string{
			"COSPROXY_ROUTES_0_DURATION cannot be read", "COSPROXY_ROUTES_1_ALLOW_PREFIXES cannot be read: the list is empty; write for example uploads/*"}},
		{"duration of one", []string{"COSPROXY_ROUTES_1_DURATION=37h"}, []string{"COSPROXY_ROUTES_1_DURATION is wrong: 37h0m0s"}},
		{"duration of all", []string{"COSPROXY_DURATION=37h"}, []string{"COSPROXY_DURATION is wrong: 37h0m0s"}},
		{"source of one", []string{"COSPROXY_ROUTES_1_SOURCE=vault"}, []string{`COSPROXY_ROUTES_1_SOURCE is "vault": write auto`}},
		{"source of all", []string{"COSPROXY_SOURCE=vault"}, []string{`COSPROXY_SOURCE is "vault": write auto`}},
		{"source of one lacks what it needs", []string{"COSPROXY_ROUTES_1_SOURCE=role"}, []string{"COSPROXY_ROLE_ARN is required for source role"}},
		{"same path prefix", []string{"COSPROXY_ROUTES_1_PATH_PREFIX=/photos/"}, []string{"COSPROXY_ROUTES_1_PATH_PREFIX is wrong: routes /photos/ and /photos/ have the same path prefix /photos/ and host"}},
		{"no path prefix in two", append(third(), "COSPROXY_ROUTES_1_PATH_PREFIX="), []string{"COSPROXY_ROUTES_2_PATH_PREFIX is wrong: routes / and / have"}},
		{"same host", []string{"COSPROXY_ROUTES_0_HOSTS=a,b", "COSPROXY_ROUTES_1_HOSTS=c,B", "COSPROXY_ROUTES_1_PATH_PREFIX=/photos/"}, []string{"COSPROXY_ROUTES_1_PATH_PREFIX is wrong: routes a/photos/ and c/photos/ have"}},
		{"other host", []string{"COSPROXY_ROUTES_1_HOSTS=b", "COSPROXY_ROUTES_1_PATH_PREFIX=/photos/"}, nil},
		{"hosts", []string{"COSPROXY_ROUTES_0_HOSTS=a b,*", "COSPROXY_ROUTES_1_HOSTS=logs.internal:4360,http://foo/"}, []string{
			`COSPROXY_ROUTES_0_HOSTS is wrong: "a b" is no host name or address; write`, `COSPROXY_ROUTES_0_HOSTS is wrong: "*" is no host name`,
			`COSPROXY_ROUTES_1_HOSTS is wrong: "logs.internal:4360" has a port, which does not count here; leave it out`, `COSPROXY_ROUTES_1_HOSTS is wrong: "http://foo/" is no host name`}},
		{"path prefix", []string{"COSPROXY_ROUTES_0_PATH_PREFIX=photos/"}, []string{`COSPROXY_ROUTES_0_PATH_PREFIX is wrong: path prefix "photos/" must begin`}},
		{"key prefix outside", []string{"COSPROXY_ROUTES_1_OBJECT_PREFIX=web/"}, []string{"COSPROXY_ROUTES_1_ALLOW_PREFIXES has no key that begins with web/, which COSPROXY_ROUTES_1_OBJECT_PREFIX puts"}},
		{"key prefix inside", []string{"COSPROXY_ROUTES_0_OBJECT_PREFIX=2026/", "COSPROXY_ROUTES_1_OBJECT_PREFIX=ap"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(routesFor(tt.changes...))
			wantProblems(t, err, tt.want)
		})
	}
}

func TestRouteWarnings(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    []string
	}{
		{"one route", nil, []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES has *"}},
		{"the other", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=*"}, []string{"COSPROXY_ROUTES_1_ALLOW_ACTIONS has *"}},
		{"source of one", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_1_SOURCE=cvm"}, []string{"COSPROXY_ROUTES_1_SOURCE=cvm: "}},
		{"source of all, once", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_SOURCE=cvm"}, []string{"COSPROXY_SOURCE=cvm: "}},
		{"slip", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_1_ALLOW_PREFIX=a"}, []string{
			"COSPROXY_ROUTES_1_ALLOW_PREFIX is no setting of cosproxy; the nearest is COSPROXY_ROUTES_1_ALLOW_PREFIXES"}},
		{"number", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_01_BUCKET=a"}, []string{"COSPROXY_ROUTES_01_BUCKET is no setting of cosproxy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(routesFor(tt.changes...))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(cfg.warnings, tt.want, strings.HasPrefix) {
				t.Errorf("got %q, want what begins with %q", cfg.warnings, tt.want)
			}
		})
	}
}

func TestRoutesInherit(t *testing.T) {
	cfg, err := loadConfig(routesFor("COSPROXY_DURATION=1h", "COSPROXY_SOURCE=sts",
		"COSPROXY_ROUTES_1_REGION=ap-beijing", "COSPROXY_ROUTES_1_DURATION=2h", "COSPROXY_ROUTES_1_HOSTS=Logs.internal,l",
		"COSPROXY_ROUTES_1_SOURCE=role", "COSPROXY_ROLE_ARN=qcs::cam::uin/1:roleName/r"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range cfg.routes {
		got = append(got, fmt.Sprintln(r.name, r.Bucket, r.Region, r.AllowPrefixes, r.AllowActions, r.Source, r.Duration, r.settings, r.endpoint))
	}
	want := []string{
		fmt.Sprintln("/photos/ photos-1250000000 ap-guangzhou * read sts", time.Hour, "COSPROXY_ROUTES_0_ https://photos-1250000000.cos.ap-guangzhou.myqcloud.com"),
		fmt.Sprintln("logs.internal/logs/ logs-1250000000 ap-beijing app/* upload role", 2*time.Hour, "COSPROXY_ROUTES_1_ https://logs-1250000000.cos.ap-beijing.myqcloud.com"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
