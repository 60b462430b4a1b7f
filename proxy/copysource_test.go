package proxy_test

import (
	"net/http"
	"testing"

	"cosproxy/proxy"
)

// The source of a copy may use any host of the route's bucket. COS receives the
// documented host.
func TestCopySource_Hosts(t *testing.T) {
	tests := []struct{ source, arrives string }{
		{cosHost + "/dir/a%2Fb", cosHost + "/dir/a%2Fb"},
		{cosHost + "/dir/a+b%20c?versionId=1+2", cosHost + "/dir/a%2Bb%20c?versionId=1%2B2"},
		{cosHost + ":80/dir/a?versionId=1", cosHost + "/dir/a?versionId=1"},
		{"EXAMPLEBUCKET-1250000000.COS.AP-GUANGZHOU.MYQCLOUD.COM./dir/a", cosHost + "/dir/a"},
		{"localhost/p/a%20b+c?versionId=1", cosHost + "/dir/a%20b%2Bc?versionId=1"},
		{"127.0.0.1:4360/p/p%2Fa%2fb", cosHost + "/dir/p%2Fa%2fb"},
		{"photos.example/p/a", cosHost + "/dir/a"},
		{"allowed.example:1/p/a", cosHost + "/dir/a"},
	}
	for _, source := range []string{
		"/" + bucket, bucket, "/" + cosHost, "http://" + cosHost, "HTTPS://" + cosHost + ":443", "http://" + bucket,
		"cos." + region + ".myqcloud.com/" + bucket, "/cos." + region + ".myqcloud.com/" + bucket,
		"https://cos." + region + ".tencentcos.cn/" + bucket, "cos-internal." + region + ".myqcloud.com:80/" + bucket,
	} {
		tests = append(tests,
			struct{ source, arrives string }{source + "/dir/a%2fb+c%20d?versionId=1", cosHost + "/dir/a%2fb%2Bc%20d?versionId=1"},
			struct{ source, arrives string }{source + "/dir//a", cosHost + "/dir//a"},
			struct{ source, arrives string }{source + "/dir/\u76ee ä\"{", cosHost + "/dir/%E7%9B%AE%20%C3%A4%22%7B"})
	}
	for _, source := range []string{"http://localhost/p/a", "/127.0.0.1:4360/p/a", "https://photos.example/p/a"} {
		tests = append(tests, struct{ source, arrives string }{source, cosHost + "/dir/a"})
	}
	for _, name := range cosNames(bucket) {
		tests = append(tests, struct{ source, arrives string }{name + "/dir/a", cosHost + "/dir/a"})
	}
	for _, tt := range tests {
		r := copying(t)
		rep := r.exchange(t, "PUT /p/to HTTP/1.1\r\nx-cos-copy-source: "+tt.source+"\r\nContent-Length: 0\r\n\r\n")
		if rep.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", tt.source, rep.status, rep.body)
		}
		if got := r.upstream.only(t).Header.Get("X-Cos-Copy-Source"); got != tt.arrives {
			t.Errorf("%s arrived as %s, want %s", tt.source, got, tt.arrives)
		}
	}
}

func copying(t *testing.T) *rig {
	return start(t, setup{options: func(o *proxy.Options) {
		o.AllowedHosts = []string{"allowed.example"}
		first := o.Routes[0]
		first.Name, first.PathPrefix, first.ObjectPrefix, first.AllowPrefixes = "first", "/p/", "dir/", []string{"dir/*"}
		named := first
		named.Name, named.Hosts = "named", []string{"photos.example"}
		other := first
		other.Name, other.PathPrefix, other.Bucket = "other", "/o/", "other-1250000000"
		o.Routes = []proxy.Route{first, named, other}
	}})
}

func TestCopySource_OtherBuckets(t *testing.T) {
	r := copying(t)
	for source, want := range map[string]struct {
		status int
		code   string
	}{
		"localhost/o/a":        {403, "AccessDenied"}, // another bucket
		"localhost/a":          {403, "AccessDenied"}, // no route
		"localhost/p/../a":     {403, "AccessDenied"}, // out of the prefixes
		"localhost/p/%2e%2e/a": {403, "AccessDenied"},
		"localhost/p%2F..%2Fa": {403, "AccessDenied"},
		"localhost/p%2Fa":      {403, "AccessDenied"}, // no route: an escaped slash ends no path prefix
		"other-1250000000.cos.ap-guangzhou.myqcloud.com/dir/a": {403, "AccessDenied"},
		bucket + ".cos." + region + ".evil.example/dir/a":      {403, "AccessDenied"},
		bucket + ".cos.ap-beijing.tencentcos.cn/dir/a":         {403, "AccessDenied"},
		"evil.example/p/a":                                       {403, "AccessDenied"},
		"evil@localhost/p/a":                                     {403, "AccessDenied"},
		"localhost:x@evil.example/p/a":                           {403, "AccessDenied"},
		"/p/a":                                                   {403, "AccessDenied"},
		"/other-1250000000/dir/a":                                {403, "AccessDenied"}, // another bucket
		"other-1250000000/dir/a":                                 {403, "AccessDenied"},
		"/" + bucket + "/secret":                                 {403, "AccessDenied"}, // out of the prefixes
		bucket + "/dir%2F..%2Fsecret":                            {403, "AccessDenied"},
		"//" + bucket + "/dir/a":                                 {403, "AccessDenied"},
		"http:///" + bucket + "/dir/a":                           {403, "AccessDenied"},
		"ftp://" + cosHost + "/dir/a":                            {400, "InvalidArgument"},
		"http://" + cosHost + "@evil.example/dir/a":              {403, "AccessDenied"},
		"http://evil.example/" + bucket + "/dir/a":               {403, "AccessDenied"},
		"/" + bucket + ".evil.example/dir/a":                     {403, "AccessDenied"},
		bucket + ":80/dir/a":                                     {403, "AccessDenied"},
		"cos.ap-beijing.myqcloud.com/" + bucket + "/dir/a":       {403, "AccessDenied"}, // another region
		"cos." + region + ".myqcloud.com/other-1250000000/dir/a": {403, "AccessDenied"},
		"cos." + region + ".myqcloud.com/" + bucket + "/secret":  {403, "AccessDenied"},
		"cos." + region + ".myqcloud.com/" + bucket + "%2Fdir/a": {403, "AccessDenied"},
		"service.cos.myqcloud.com/" + bucket + "/dir/a":          {403, "AccessDenied"},
		"/" + bucket:                                             {400, "InvalidArgument"},
		"/" + bucket + "/":                                       {400, "InvalidArgument"},
		"cos." + region + ".myqcloud.com/" + bucket:              {400, "InvalidArgument"},
		"http://" + bucket + "/dir/%zz":                          {400, "InvalidArgument"},
		"169.254.0.23/p/a":                                       {403, "AccessDenied"},
		"cos." + region + ".myqcloud.com/p/a":                    {403, "AccessDenied"},
	} {
		t.Run(source, func(t *testing.T) {
			rep := r.exchange(t, "PUT /p/to HTTP/1.1\r\nx-cos-copy-source: "+source+"\r\nContent-Length: 0\r\n\r\n")
			r.refused(t, rep, want.status, want.code)
		})
	}
}
