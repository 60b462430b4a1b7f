package cosreq_test

import (
	"slices"
	"testing"

	"cosproxy/proxy/internal/cosreq"
)

func TestHostname(t *testing.T) {
	for host, want := range map[string]string{
		"": "", "localhost": "localhost", "LOCALHOST.": "localhost", "Files.Example.:8080": "files.example", "127.0.0.1:4360": "127.0.0.1",
		"[::1]:80": "::1", "[::1]": "::1", "::1": "::1", "[FE80::1]": "fe80::1", "h:": "h", ":80": "", "h:80:80": "h:80:80", "h:x": "h:x",
		"a@b:80": "a@b", "h:80x": "h:80x", "h..": "h.", "[::1": "[::1",
	} {
		if got := cosreq.Hostname(host); got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
	for _, host := range []string{"localhost", "localhost:4360", "[::1]:80", "b-1250000000.cos.ap-guangzhou.myqcloud.com"} {
		if n := testing.AllocsPerRun(100, func() { cosreq.IsLoopback(cosreq.Hostname(host)) }); n != 0 {
			t.Errorf("%q costs %v allocations", host, n)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.8.9.10": true, "::1": true, "::ffff:127.0.0.1": true, "0:0:0:0:0:0:0:1": true,
		"": false, "local": false, "localhost.example": false, "127.0.0.1.example": false, "127.1": false, "0.0.0.0": false, "169.254.0.23": false,
		"fe80::1": false, "::": false, "2130706433": false,
	} {
		if got := cosreq.IsLoopback(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

const bucket, region = "examplebucket-1250000000", "ap-guangzhou"

func TestBucketHosts(t *testing.T) {
	hosts := cosreq.BucketHosts(bucket, region)
	for _, want := range []string{
		bucket + ".cos." + region + ".myqcloud.com",
		bucket + ".cos." + region + ".tencentcos.cn",
		bucket + ".cos-internal." + region + ".myqcloud.com",
		bucket + ".cos-internal." + region + ".tencentcos.cn",
		bucket + ".cos.accelerate.myqcloud.com",
		bucket + ".cos-internal.accelerate.tencentcos.cn",
	} {
		if !slices.Contains(hosts, want) {
			t.Errorf("%s is missing in %q", want, hosts)
		}
	}
	for _, host := range hosts {
		b, r, ok := cosreq.SplitBucketHost(host)
		if !ok || b != bucket || r != region && r != "accelerate" || !cosreq.IsCOSName(host) {
			t.Errorf("%s is read as %q in %q (%v)", host, b, r, ok)
		}
	}
	if got := cosreq.CopySourceHost(bucket, region); got != hosts[0] {
		t.Errorf("copy source %s", got)
	}
}

func TestServiceHosts(t *testing.T) {
	got := cosreq.ServiceHosts(region)
	slices.Sort(got)
	want := []string{
		"cos-internal." + region + ".myqcloud.com", "cos-internal." + region + ".tencentcos.cn",
		"cos." + region + ".myqcloud.com", "cos." + region + ".tencentcos.cn", "service.cos.myqcloud.com", "service.cos.tencentcos.cn",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, host := range append(got, bucket+".ci."+region+".myqcloud.com", bucket+".cos-website."+region+".myqcloud.com", bucket+".cos."+region+".evil.example", "myqcloud.com") {
		if _, _, ok := cosreq.SplitBucketHost(host); ok {
			t.Errorf("%s is read as a bucket's", host)
		}
	}
	if cosreq.IsCOSName("myqcloud.com") || cosreq.IsCOSName("myqcloud.com.evil.example") || !cosreq.IsCOSName("metadata.myqcloud.com") {
		t.Error("IsCOSName")
	}
}

func TestTrimSourceOrigin(t *testing.T) {
	for source, want := range map[string]string{
		"h/k": "h/k", "/h/k": "h/k", "//h/k": "/h/k", "http://h/k": "h/k", "HTTPS://h:443/k": "h:443/k", "http:///h/k": "/h/k",
		"ftp://h/k": "ftp://h/k", "h/http://k": "h/http://k", "": "", "/": "",
	} {
		if got := cosreq.TrimSourceOrigin(source); got != want {
			t.Errorf("%q became %q, want %q", source, got, want)
		}
	}
}
