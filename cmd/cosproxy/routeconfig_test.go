package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// routesFor returns the smallest valid environment with two routes, with changes.
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

func TestRoutes_Problems(t *testing.T) {
	third := func(changes ...string) []string {
		return append([]string{"COSPROXY_ROUTES_2_BUCKET=more-1250000000", "COSPROXY_ROUTES_2_ALLOW_PREFIXES=a/*", "COSPROXY_ROUTES_2_ALLOW_ACTIONS=read"}, changes...)
	}
	tests := []struct {
		name    string
		changes []string
		want    []string // prefix of each line of the error
	}{
		{"none", nil, nil},
		{"three", third(), nil},
		{"combined with short form", []string{"COSPROXY_BUCKET=a-1250000000", "COSPROXY_ALLOW_PREFIXES=a/*", "COSPROXY_ALLOW_ACTIONS=read", "COSPROXY_HOSTS=a"}, []string{
			"COSPROXY_BUCKET cannot be combined with settings that start with COSPROXY_ROUTES_; remove it, or move it",
			"COSPROXY_ALLOW_PREFIXES cannot be combined", "COSPROXY_ALLOW_ACTIONS cannot be combined", "COSPROXY_HOSTS cannot be combined"}},
		{"gap", []string{"COSPROXY_ROUTES_3_BUCKET=a-1250000000", "COSPROXY_ROUTES_3_ALLOW_PREFIXES=a/*", "COSPROXY_ROUTES_3_ALLOW_ACTIONS=read"}, []string{
			"COSPROXY_ROUTES_2_BUCKET is missing: routes are numbered from 0 without gaps, and COSPROXY_ROUTES_3_ is set"}},
		{"single setting", []string{"COSPROXY_ROUTES_2_DURATION=1h"}, []string{
			"COSPROXY_ROUTES_2_BUCKET is required (example: examplebucket-1250000000", "COSPROXY_ROUTES_2_ALLOW_PREFIXES is required", "COSPROXY_ROUTES_2_ALLOW_ACTIONS is required"}},
		{"empty", []string{"COSPROXY_ROUTES_1_ALLOW_PREFIXES=", "COSPROXY_ROUTES_1_ALLOW_ACTIONS="}, []string{
			"COSPROXY_ROUTES_1_ALLOW_PREFIXES is required (example: uploads/*,a.txt", "COSPROXY_ROUTES_1_ALLOW_ACTIONS is required"}},
		{"no region", []string{"COSPROXY_REGION=", "COSPROXY_ROUTES_1_REGION=ap-beijing"}, []string{
			"COSPROXY_ROUTES_0_REGION is required (example: ap-guangzhou); or set COSPROXY_REGION for all routes"}},
		{"region of one", []string{"COSPROXY_ROUTES_1_REGION=Beijing"}, []string{`COSPROXY_ROUTES_1_REGION is invalid: "Beijing" is not a region`}},
		{"region of all", []string{"COSPROXY_REGION=Beijing"}, []string{`COSPROXY_REGION is invalid: "Beijing" is not a region`}},
		{"different problems", []string{"COSPROXY_ROUTES_0_BUCKET=photos", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=/app/*", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=put"}, []string{
			`COSPROXY_ROUTES_0_BUCKET is invalid: "photos"`, `COSPROXY_ROUTES_1_ALLOW_PREFIXES is invalid: "/app/*" begins with a slash`, `COSPROXY_ROUTES_1_ALLOW_ACTIONS is invalid: unknown action "put"`}},
		{"invalid in both", []string{"COSPROXY_ROUTES_0_DURATION=30", "COSPROXY_ROUTES_1_ALLOW_PREFIXES=,"}, []string{
			"COSPROXY_ROUTES_0_DURATION is invalid", "COSPROXY_ROUTES_1_ALLOW_PREFIXES is invalid: the list is empty (example: uploads/*"}},
		{"duration of one", []string{"COSPROXY_ROUTES_1_DURATION=37h"}, []string{"COSPROXY_ROUTES_1_DURATION is invalid: 37h0m0s"}},
		{"duration of all", []string{"COSPROXY_DURATION=37h"}, []string{"COSPROXY_DURATION is invalid: 37h0m0s"}},
		{"source of one", []string{"COSPROXY_ROUTES_1_SOURCE=vault"}, []string{`COSPROXY_ROUTES_1_SOURCE is "vault"; use auto`}},
		{"source of all", []string{"COSPROXY_SOURCE=vault"}, []string{`COSPROXY_SOURCE is "vault"; use auto`}},
		{"source of one incomplete", []string{"COSPROXY_ROUTES_1_SOURCE=role"}, []string{"COSPROXY_ROLE_ARN is required for source role"}},
		{"same path prefix", []string{"COSPROXY_ROUTES_1_PATH_PREFIX=/photos/"}, []string{"COSPROXY_ROUTES_1_PATH_PREFIX is invalid: routes /photos/ and /photos/ have the same path prefix /photos/ and host"}},
		{"no path prefix in two", append(third(), "COSPROXY_ROUTES_1_PATH_PREFIX="), []string{"COSPROXY_ROUTES_2_PATH_PREFIX is invalid: routes / and / have"}},
		{"same host", []string{"COSPROXY_ROUTES_0_HOSTS=a,b", "COSPROXY_ROUTES_1_HOSTS=c,B", "COSPROXY_ROUTES_1_PATH_PREFIX=/photos/"}, []string{"COSPROXY_ROUTES_1_PATH_PREFIX is invalid: routes a/photos/ and c/photos/ have"}},
		{"other host", []string{"COSPROXY_ROUTES_1_HOSTS=b", "COSPROXY_ROUTES_1_PATH_PREFIX=/photos/"}, nil},
		{"hosts", []string{"COSPROXY_ROUTES_0_HOSTS=a b,*", "COSPROXY_ROUTES_1_HOSTS=logs.internal:4360,http://foo/"}, []string{
			`COSPROXY_ROUTES_0_HOSTS is invalid: "a b" is not a host name or an address; use`, `COSPROXY_ROUTES_0_HOSTS is invalid: "*" is not a host name`,
			`COSPROXY_ROUTES_1_HOSTS is invalid: "logs.internal:4360" has a port; remove it`, `COSPROXY_ROUTES_1_HOSTS is invalid: "http://foo/" is not a host name`}},
		{"path prefix", []string{"COSPROXY_ROUTES_0_PATH_PREFIX=photos/"}, []string{`COSPROXY_ROUTES_0_PATH_PREFIX is invalid: path prefix "photos/" must begin`}},
		{"object prefix outside", []string{"COSPROXY_ROUTES_1_OBJECT_PREFIX=web/"}, []string{"COSPROXY_ROUTES_1_ALLOW_PREFIXES allows no object key that starts with web/, which COSPROXY_ROUTES_1_OBJECT_PREFIX adds"}},
		{"object prefix inside", []string{"COSPROXY_ROUTES_0_OBJECT_PREFIX=2026/", "COSPROXY_ROUTES_1_OBJECT_PREFIX=ap"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(routesFor(tt.changes...))
			wantProblems(t, err, tt.want)
		})
	}
}

func TestRoutes_Warnings(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    []string
	}{
		{"one route", nil, []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES contains *"}},
		{"the other", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_1_ALLOW_ACTIONS=*"}, []string{"COSPROXY_ROUTES_1_ALLOW_ACTIONS contains *"}},
		{"source of one", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_1_SOURCE=cvm"}, []string{"COSPROXY_ROUTES_1_SOURCE=cvm: "}},
		{"source of all, once", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_SOURCE=cvm"}, []string{"COSPROXY_SOURCE=cvm: "}},
		{"unknown setting", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_1_ALLOW_PREFIX=a"}, []string{
			"unknown setting COSPROXY_ROUTES_1_ALLOW_PREFIX; did you mean COSPROXY_ROUTES_1_ALLOW_PREFIXES?"}},
		{"unknown number", []string{"COSPROXY_ROUTES_0_ALLOW_PREFIXES=a", "COSPROXY_ROUTES_01_BUCKET=a"}, []string{"unknown setting COSPROXY_ROUTES_01_BUCKET"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(routesFor(tt.changes...))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(cfg.warnings, tt.want, strings.HasPrefix) {
				t.Errorf("got %q, want prefixes %q", cfg.warnings, tt.want)
			}
		})
	}
}

func TestRoutes_Inheritance(t *testing.T) {
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
