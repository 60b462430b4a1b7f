package cosemu_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func TestAppend_Object(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	position := 0
	var whole string
	for _, piece := range []string{"one ", strings.Repeat("two", 100_000), " three"} {
		next, _, err := c.Object.Append(t.Context(), "o", position, strings.NewReader(piece), &cos.ObjectPutOptions{
			ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: "text/x"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if whole, position = whole+piece, position+len(piece); next != position {
			t.Errorf("next position %d, want %d", next, position)
		}
	}
	body, resp := get(t, c, "o", nil)
	if body != whole || resp.Header.Get("x-cos-object-type") != "appendable" || resp.Header.Get("Content-Type") != "text/x" {
		t.Errorf("%d bytes, %v", len(body), resp.Header)
	}
	put(t, c, "plain", "body")
	for _, tt := range []struct {
		key      string
		position int
		code     string
	}{{"o", 0, "AppendPositionErr"}, {"o", position + 1, "AppendPositionErr"}, {"new", 1, "AppendPositionErr"}, {"plain", 4, "ObjectNotAppendable"}} {
		_, _, err := c.Object.Append(t.Context(), tt.key, tt.position, strings.NewReader("x"), nil)
		wantCOS(t, err, http.StatusConflict, tt.code)
	}
	if body, _ := get(t, c, "o", nil); body != whole {
		t.Errorf("a rejected append left %d bytes of %d", len(body), len(whole))
	}
}

// TestAppend_RemovesFiles checks that each append removes the previous body.
func TestAppend_RemovesFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	piece := strings.Repeat("x", 100<<10)
	for i := range 3 {
		if _, _, err := c.Object.Append(t.Context(), "o", i*len(piece), strings.NewReader(piece), nil); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.Object.Append(t.Context(), "o", 1, strings.NewReader(piece), nil)
		wantCOS(t, err, http.StatusConflict, "AppendPositionErr")
	}
	if files := bodyFiles(t); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}

func TestTagging_Object(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	if _, err := c.Object.Put(t.Context(), "o", strings.NewReader("x"), &cos.ObjectPutOptions{ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{
		XOptionHeader: &http.Header{"x-cos-tagging": {"a=1&b%20c="}},
	}}); err != nil {
		t.Fatal(err)
	}
	tags := func() string {
		t.Helper()
		result, _, err := c.Object.GetTagging(t.Context(), "o")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(result.TagSet)
	}
	if got := tags(); got != "[{a 1} {b c }]" || headOf(t, c, "o").Get("x-cos-tagging-count") != "2" {
		t.Errorf("from the upload: %s", got)
	}
	if _, err := c.Object.PutTagging(t.Context(), "o", &cos.ObjectPutTaggingOptions{TagSet: []cos.ObjectTaggingTag{{Key: "d", Value: "<2>"}}}); err != nil {
		t.Fatal(err)
	}
	if got := tags(); got != "[{d <2>}]" {
		t.Errorf("put: %s", got)
	}
	for _, set := range [][]cos.ObjectTaggingTag{
		slices.Repeat([]cos.ObjectTaggingTag{{Key: "same"}}, 2), {{Key: strings.Repeat("k", 128)}}, {{Key: "k", Value: strings.Repeat("v", 256)}}, {{Value: "v"}},
		func() (many []cos.ObjectTaggingTag) {
			for i := range 11 {
				many = append(many, cos.ObjectTaggingTag{Key: fmt.Sprint(i)})
			}
			return many
		}(),
	} {
		_, err := c.Object.PutTagging(t.Context(), "o", &cos.ObjectPutTaggingOptions{TagSet: set})
		wantCOS(t, err, http.StatusBadRequest, "InvalidTag")
	}
	if _, err := c.Object.DeleteTagging(t.Context(), "o"); err != nil {
		t.Fatal(err)
	}
	if got := tags(); got != "[]" {
		t.Errorf("deleted: %s", got)
	}
	_, err := c.Object.PutTagging(t.Context(), "none", &cos.ObjectPutTaggingOptions{TagSet: []cos.ObjectTaggingTag{{Key: "d"}}})
	wantCOS(t, err, http.StatusNotFound, "NoSuchKey")
	_, _, err = c.Object.GetTagging(t.Context(), "none")
	wantCOS(t, err, http.StatusNotFound, "NoSuchKey")
}

func TestACL_Put(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "o", "x")
	steps := []struct {
		opt  cos.ObjectPutACLOptions
		want string
	}{
		{cos.ObjectPutACLOptions{Header: &cos.ACLHeaderOptions{XCosACL: "public-read"}}, "1250000000 FULL_CONTROL, http://cam.qcloud.com/groups/global/AllUsers READ"},
		{cos.ObjectPutACLOptions{Body: &cos.ACLXml{Owner: &cos.Owner{ID: "1250000000"}, AccessControlList: []cos.ACLGrant{
			{Grantee: &cos.ACLGrantee{ID: "1250000000"}, Permission: "FULL_CONTROL"}, {Grantee: &cos.ACLGrantee{ID: "other"}, Permission: "READ"},
		}}}, "1250000000 FULL_CONTROL, other READ"},
		{cos.ObjectPutACLOptions{Header: &cos.ACLHeaderOptions{XCosACL: "private"}}, "1250000000 FULL_CONTROL"},
	}
	for _, step := range steps {
		if _, err := c.Object.PutACL(t.Context(), "o", &step.opt); err != nil {
			t.Fatal(err)
		}
		result, _, err := c.Object.GetACL(t.Context(), "o")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range result.AccessControlList {
			got = append(got, g.Grantee.ID+g.Grantee.URI+" "+g.Permission)
		}
		if strings.Join(got, ", ") != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
	_, err := c.Object.PutACL(t.Context(), "o", &cos.ObjectPutACLOptions{Header: &cos.ACLHeaderOptions{XCosACL: "public-read-write"}})
	wantCOS(t, err, http.StatusBadRequest, "InvalidArgument")
	_, err = c.Object.PutACL(t.Context(), "o", &cos.ObjectPutACLOptions{Header: &cos.ACLHeaderOptions{XCosGrantRead: `id="1"`}})
	wantCOS(t, err, http.StatusNotImplemented, "NotImplemented")
	_, err = c.Object.PutACL(t.Context(), "none", &cos.ObjectPutACLOptions{Header: &cos.ACLHeaderOptions{XCosACL: "private"}})
	wantCOS(t, err, http.StatusNotFound, "NoSuchKey")
}

func TestRestore_Archive(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	srv := start(t, cosemu.Options{}.WithClock(func() time.Time { return now }))
	client := httpClient(t, srv)
	send := func(method, target, body string, fields ...string) httpResponse {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+host1+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		window := &cos.AuthTime{SignStartTime: now, SignEndTime: now.Add(time.Hour), KeyStartTime: now, KeyEndTime: now.Add(time.Hour)}
		cos.AddAuthorizationHeader(srv.SecretID(), srv.SecretKey(), "", r, window)
		return do(t, client, r)
	}
	const days = "<RestoreRequest><Days>2</Days><CASJobParameters><Tier>Bulk</Tier></CASJobParameters></RestoreRequest>"
	want := func(a httpResponse, status int, code string) {
		t.Helper()
		if a.status != status || a.code() != code {
			t.Errorf("%d %s, want %d %s", a.status, a.code(), status, code)
		}
	}
	send(http.MethodPut, "/o", "body", "x-cos-storage-class: ARCHIVE")
	send(http.MethodPut, "/plain", "body")
	want(send(http.MethodGet, "/o", ""), 403, "InvalidObjectState")
	want(send(http.MethodPut, "/copy", "", "x-cos-copy-source: "+host1+"/o"), 403, "InvalidObjectState")
	want(send(http.MethodHead, "/o", ""), 200, "")
	want(send(http.MethodPost, "/plain?restore", days), 403, "InvalidObjectState")
	want(send(http.MethodPost, "/o?restore", "<RestoreRequest><Days>0</Days></RestoreRequest>"), 400, "InvalidArgument")
	want(send(http.MethodPost, "/none?restore", days), 404, "NoSuchKey")
	want(send(http.MethodPost, "/o?restore", days), 202, "")
	want(send(http.MethodPost, "/o?restore", days), 200, "")
	if a := send(http.MethodGet, "/o", ""); a.body != "body" || !strings.Contains(a.header.Get("x-cos-restore"), "03 Jan 2026") {
		t.Errorf("restored: %d %q %q", a.status, a.body, a.header.Get("x-cos-restore"))
	}
	now = now.Add(48 * time.Hour)
	want(send(http.MethodGet, "/o", ""), 403, "InvalidObjectState")
}

func TestSelect_CSV(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	long := strings.Repeat("1234567890,abc\n", 10_000) // several frames
	put(t, c, "long", long)
	put(t, c, "o", "name;n\n\"a \"\"b\"\"\";1\nc;2\nd;3\n")
	put(t, c, "broken", "a,b\n\"c")
	options := func(sql, header, comma string) *cos.ObjectSelectOptions {
		return &cos.ObjectSelectOptions{
			Expression: sql, ExpressionType: "SQL",
			InputSerialization:  &cos.SelectInputSerialization{CompressionType: "NONE", CSV: &cos.CSVInputSerialization{FileHeaderInfo: header, FieldDelimiter: comma}},
			OutputSerialization: &cos.SelectOutputSerialization{CSV: &cos.CSVOutputSerialization{}},
		}
	}
	for _, tt := range []struct {
		key  string
		opt  *cos.ObjectSelectOptions
		want string
	}{
		{"o", options("SELECT * FROM COSObject", "NONE", ";"), "name,n\n\"a \"\"b\"\"\",1\nc,2\nd,3\n"},
		{"o", options("select * from cosobject limit 2;", "IGNORE", ";"), "\"a \"\"b\"\"\",1\nc,2\n"},
		{"o", options("SELECT * FROM COSObject LIMIT 0", "USE", ";"), ""},
		{"long", options("SELECT * FROM COSObject", "", ""), long},
	} {
		result, err := c.Object.Select(t.Context(), tt.key, tt.opt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(result)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v, %d bytes, want %d: %.60q", tt.opt.Expression, err, len(got), len(tt.want), got)
		}
		if stats := result.(*cos.ObjectSelectResponse).Frame.StatsFrame; stats.BytesReturned != len(tt.want) {
			t.Errorf("%s: stats %+v", tt.opt.Expression, stats)
		}
		_ = result.Close()
	}
	_, err := c.Object.Select(t.Context(), "o", options("SELECT s.a FROM COSObject s", "USE", ";"))
	wantCOS(t, err, http.StatusNotImplemented, "NotImplemented")
	_, err = c.Object.Select(t.Context(), "none", options("SELECT * FROM COSObject", "USE", ";"))
	wantCOS(t, err, http.StatusNotFound, "NoSuchKey")
	broken, err := c.Object.Select(t.Context(), "broken", options("SELECT * FROM COSObject", "NONE", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	if _, err := io.ReadAll(broken); err == nil || !strings.Contains(err.Error(), "CSVParsingError") {
		t.Errorf("broken CSV: %v", err)
	}
}

func TestListVersions_NullVersion(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	for _, key := range []string{"a", "b/1", "b/2", "c"} {
		put(t, c, key, key)
	}
	opt := &cos.BucketGetObjectVersionsOptions{Delimiter: "/", MaxKeys: 2}
	var got []string
	for {
		page, _, err := c.Bucket.GetObjectVersions(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Version {
			got = append(got, fmt.Sprintf("%s %s %t %d", v.Key, v.VersionId, v.IsLatest, v.Size))
		}
		got = append(got, page.CommonPrefixes...)
		if !page.IsTruncated {
			break
		}
		opt.KeyMarker = page.NextKeyMarker
	}
	if want := []string{"a null true 1", "b/", "c null true 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	creds := issue(t, srv, policyOf([]string{"name/cos:GetBucketObjectVersions"}, []string{resource(bucket1 + "/b/*")}))
	narrow := sdk(t, srv, bucket1, creds)
	if _, _, err := narrow.Bucket.GetObjectVersions(t.Context(), &cos.BucketGetObjectVersionsOptions{Prefix: "b/"}); err != nil {
		t.Error(err)
	}
	_, _, err := narrow.Bucket.GetObjectVersions(t.Context(), &cos.BucketGetObjectVersionsOptions{})
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
}

func TestGetService_Buckets(t *testing.T) {
	srv := start(t, cosemu.Options{})
	list := func(host string, creds clientCredentials, opt *cos.ServiceGetOptions) (string, error) {
		t.Helper()
		u := &url.URL{Scheme: "http", Host: host}
		c := cos.NewClient(&cos.BaseURL{ServiceURL: u}, &http.Client{Transport: &cos.AuthorizationTransport{
			SecretID: creds.id, SecretKey: creds.secretKey, SessionToken: creds.token, Transport: httpClient(t, srv).Transport,
		}})
		c.Conf.RetryOpt.Count = 1
		result, _, err := c.Service.Get(context.Background(), opt)
		if err != nil {
			return "", err
		}
		var names []string
		for _, b := range result.Buckets {
			names = append(names, b.Name+" "+b.Region)
		}
		return fmt.Sprint(result.Owner.ID, names, result.IsTruncated, result.NextMarker), nil
	}
	both := "1250000000[" + bucket1 + " " + region + " " + bucket2 + " " + region + "] false"
	for _, tt := range []struct {
		host string
		opt  cos.ServiceGetOptions
		want string
	}{
		{"service.cos.myqcloud.com", cos.ServiceGetOptions{}, both},
		{"cos." + region + ".myqcloud.com", cos.ServiceGetOptions{Region: region}, both},
		{"service.cos.myqcloud.com", cos.ServiceGetOptions{Region: "ap-beijing"}, "1250000000[] false"},
		{"service.cos.myqcloud.com", cos.ServiceGetOptions{MaxKeys: 1}, "1250000000[" + bucket1 + " " + region + "] true" + bucket1},
		{"service.cos.myqcloud.com", cos.ServiceGetOptions{Marker: bucket1}, "1250000000[" + bucket2 + " " + region + "] false"},
	} {
		if got, err := list(tt.host, longLived(srv), &tt.opt); err != nil || got != tt.want {
			t.Errorf("%s %+v: %q, %v, want %q", tt.host, tt.opt, got, err, tt.want)
		}
	}
	allowed := issue(t, srv, policyOf([]string{"name/cos:GetService"}, []string{"*"}))
	if got, err := list("service.cos.myqcloud.com", allowed, nil); err != nil || got != both {
		t.Errorf("with a key for it: %q, %v", got, err)
	}
	denied := issue(t, srv, policyOf([]string{"name/cos:*"}, []string{resource(bucket1 + "/*")}))
	_, err := list("service.cos.myqcloud.com", denied, nil)
	wantCOS(t, err, http.StatusForbidden, "AccessDenied")
}

// TestHost_BucketNames signs each request for the host name that it uses.
func TestHost_BucketNames(t *testing.T) {
	srv := start(t, cosemu.Options{})
	put(t, sdk(t, srv, bucket1, longLived(srv)), "o", "body")
	for host, status := range map[string]int{
		bucket1 + ".cos." + region + ".tencentcos.cn":          200,
		bucket1 + ".cos-internal." + region + ".tencentcos.cn": 200,
		bucket1 + ".cos.accelerate.myqcloud.com":               200,
		bucket1 + ".cos-internal.accelerate.tencentcos.cn":     200,
		bucket1 + ".cos.ap-beijing.tencentcos.cn":              404,
		"no-1250000000.cos." + region + ".tencentcos.cn":       404,
	} {
		r, err := http.NewRequest(http.MethodGet, "http://"+host+"/o", nil)
		if err != nil {
			t.Fatal(err)
		}
		cos.AddAuthorizationHeader(srv.SecretID(), srv.SecretKey(), "", r, cos.NewAuthTime(time.Hour))
		if a := do(t, httpClient(t, srv), r); a.status != status {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
	}
}
