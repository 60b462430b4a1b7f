package proxy

import (
	"strings"
	"testing"
)

func TestFieldSet(t *testing.T) {
	set := newFieldSet("Range", "Host", "Access-Control-Request-Headers")
	for name, want := range map[string]bool{
		"Range": true, "range": true, "RANGE": true, "Host": true, "access-control-request-headers": true,
		"": false, "Ranges": false, "Rang": false, "Rank_": false, strings.Repeat("a", maxFieldName+1): false,
	} {
		if got := set.has([]byte(name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	if (*fieldSet)(nil).has([]byte("Range")) {
		t.Error("a nil set has a name")
	}
}

func TestIsForwarded(t *testing.T) {
	for name, want := range map[string]bool{
		"Range": true, "if-range": true, "x-cos-acl": true, "X-CI-Process": true, "x-cos-meta-a_b": true,
		"x-cos-grant_read": false, "x-cos-security-token": false, "X-Ci-Security-Token": false,
		"Authorization": false, "Cookie": false, "x-amz-acl": false, "Connection": false, "": false,
	} {
		if got := isForwarded([]byte(name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
