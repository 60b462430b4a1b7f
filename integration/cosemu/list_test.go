package cosemu_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func keysOf(r *cos.BucketGetResult) []string {
	var keys []string
	for _, o := range r.Contents {
		keys = append(keys, o.Key)
	}
	return append(keys, r.CommonPrefixes...)
}

func TestList_Parameters(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	for _, key := range []string{"a", "b/1", "b/2", "b/c/3", "c", "d d/1", "é", "B"} {
		put(t, c, key, key)
	}
	tests := []struct {
		name string
		opt  cos.BucketGetOptions
		want string
	}{
		{"all, in byte order", cos.BucketGetOptions{}, "B a b/1 b/2 b/c/3 c d d/1 é"},
		{"prefix", cos.BucketGetOptions{Prefix: "b/"}, "b/1 b/2 b/c/3"},
		{"delimiter", cos.BucketGetOptions{Delimiter: "/"}, "B a c é b/ d d/"},
		{"prefix and delimiter", cos.BucketGetOptions{Prefix: "b/", Delimiter: "/"}, "b/1 b/2 b/c/"},
		{"marker", cos.BucketGetOptions{Marker: "b/2"}, "b/c/3 c d d/1 é"},
		{"marker is a common prefix", cos.BucketGetOptions{Marker: "b/", Delimiter: "/"}, "c é d d/"},
		{"marker inside a common prefix", cos.BucketGetOptions{Marker: "b/1", Delimiter: "/"}, "c é b/ d d/"},
		{"nothing there", cos.BucketGetOptions{Prefix: "x"}, ""},
	}
	for _, tt := range tests {
		for _, encoding := range []string{"", "url"} {
			t.Run(tt.name+" "+encoding, func(t *testing.T) {
				opt := tt.opt
				opt.EncodingType = encoding
				result, resp, err := c.Bucket.Get(t.Context(), &opt)
				if err != nil {
					t.Fatal(err)
				}
				keys := keysOf(result)
				for i := range keys {
					if encoding == "url" {
						keys[i], err = cos.DecodeURIComponent(keys[i])
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if got := strings.Join(keys, " "); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if got := resp.Header.Get("x-cos-bucket-region"); got != region {
					t.Errorf("region %q", got)
				}
			})
		}
	}
}

// TestList_PageSizes lists a bucket with every page size.
func TestList_PageSizes(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	for i := range 3 {
		for _, dir := range []string{"", "x/", "y/", "y/z/"} {
			put(t, c, fmt.Sprint(dir, i), "")
		}
	}
	for _, delimiter := range []string{"", "/"} {
		whole, _, err := c.Bucket.Get(t.Context(), &cos.BucketGetOptions{Delimiter: delimiter})
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(keysOf(whole)))
		for size := 1; size <= len(want)+1; size++ {
			var got []string
			opt := &cos.BucketGetOptions{Delimiter: delimiter, MaxKeys: size}
			for {
				page, _, err := c.Bucket.Get(t.Context(), opt)
				if err != nil {
					t.Fatal(err)
				}
				keys := keysOf(page)
				if len(keys) > size {
					t.Fatalf("%d keys on a page of %d", len(keys), size)
				}
				got = append(got, keys...)
				if !page.IsTruncated {
					break
				}
				opt.Marker = page.NextMarker
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d, delimiter %q: %v, want %v", size, delimiter, got, want)
			}
		}
	}
}

func TestList_Entry(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "a", "hello")
	result, _, err := c.Bucket.Get(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := result.Contents[0]
	if o.Size != 5 || o.ETag != `"5d41402abc4b2a76b9719d911017c592"` || o.StorageClass != "STANDARD" || o.Owner.ID != "1250000000" || !strings.HasSuffix(o.LastModified, "Z") {
		t.Errorf("%+v", o)
	}
	if result.Name != bucket1 || result.MaxKeys != 1000 || result.IsTruncated {
		t.Errorf("%+v", result)
	}
}

func TestList_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	for _, query := range []string{"max-keys=x", "max-keys=-1", "encoding-type=base64"} {
		a := do(t, client, request(t, longLived(srv), http.MethodGet, "/?"+query, nil))
		if a.status != http.StatusBadRequest || a.code() != "InvalidArgument" {
			t.Errorf("%s: %d %s", query, a.status, a.code())
		}
	}
	if a := do(t, client, request(t, longLived(srv), http.MethodGet, "/?max-keys=0", nil)); !strings.Contains(a.body, "<IsTruncated>false<") {
		t.Errorf("max-keys=0: %s", a.body)
	}
}

func TestHeadBucket_Region(t *testing.T) {
	srv := start(t, cosemu.Options{})
	resp, err := sdk(t, srv, bucket1, longLived(srv)).Bucket.Head(t.Context())
	if err != nil || resp.Header.Get("x-cos-bucket-region") != region {
		t.Errorf("%v, %v", resp, err)
	}
	_, err = sdk(t, srv, "nobucket-1250000000", longLived(srv)).Bucket.Head(t.Context())
	wantStatus(t, err, http.StatusNotFound)
}

func TestDeleteMultiple_Quiet(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	for _, quiet := range []bool{false, true} {
		put(t, c, "a & b", "")
		put(t, c, "keep", "")
		result, _, err := c.Object.DeleteMulti(t.Context(), &cos.ObjectDeleteMultiOptions{
			Quiet: quiet, Objects: []cos.Object{{Key: "a & b"}, {Key: "never was"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 2, true: 0}[quiet]; len(result.DeletedObjects) != want || len(result.Errors) != 0 {
			t.Errorf("quiet %t: %+v", quiet, result)
		}
		if _, ok := srv.Object(bucket1, "a & b"); ok {
			t.Error("not deleted")
		}
		if _, ok := srv.Object(bucket1, "keep"); !ok {
			t.Error("deleted too much")
		}
	}
	client := httpClient(t, srv)
	tooMany := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>"
	for _, body := range []string{"no xml", "<Delete></Delete>", "<Other/>", tooMany} {
		a := do(t, client, request(t, longLived(srv), http.MethodPost, "/?delete", strings.NewReader(body), contentMD5Of(body)))
		if a.code() != "MalformedXML" {
			t.Errorf("%.20s: %d %s", body, a.status, a.code())
		}
	}
	whole := "<Delete><Object><Key>k</Key></Object></Delete>"
	if a := do(t, client, request(t, longLived(srv), http.MethodPost, "/?delete", strings.NewReader(whole))); a.status != http.StatusBadRequest || a.code() != "InvalidRequest" {
		t.Errorf("without a digest: %d %s", a.status, a.code())
	}
}
