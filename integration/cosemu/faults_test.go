package cosemu_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

func TestCOSFault_Status(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	srv.SetCOSFault(cosemu.COSFault{
		Times: 2, Status: http.StatusServiceUnavailable, Code: "SlowDown", Message: "Reduce your request rate.",
		Match: func(r *http.Request) bool { return r.Method == http.MethodGet },
	})
	put(t, c, "o", "unharmed")
	for range 2 {
		_, err := c.Object.Get(t.Context(), "o", nil)
		wantCOS(t, err, http.StatusServiceUnavailable, "SlowDown")
	}
	if got, _ := get(t, c, "o", nil); got != "unharmed" {
		t.Errorf("got %q", got)
	}
	srv.SetCOSFault(cosemu.COSFault{Status: http.StatusInternalServerError, Code: "InternalError"})
	srv.SetCOSFault(cosemu.COSFault{})
	get(t, c, "o", nil)
}

// TestCOSFault_OneIn also checks that the response to a fault looks like any other
// response of COS.
func TestCOSFault_OneIn(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	const requests = 300
	run := func(fault cosemu.COSFault) (failed []bool) {
		srv.SetCOSFault(fault)
		before := srv.Stats().COSFaults
		for range requests {
			resp, err := client.Do(request(t, longLived(srv), http.MethodPut, "/o", strings.NewReader("x")))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if server := resp.Header.Get("Server"); server != "tencent-cos" {
				t.Fatalf("%d by Server %q", resp.StatusCode, server)
			}
			failed = append(failed, resp.StatusCode == http.StatusForbidden)
		}
		if n, got := count(failed), srv.Stats().COSFaults-before; got != n {
			t.Errorf("%d requests failed and %d faults are counted", n, got)
		}
		return failed
	}
	fault := cosemu.COSFault{OneIn: 10, Seed: 1, Status: http.StatusForbidden, Code: "InvalidAccessKeyId"}
	first := run(fault)
	if n := count(first); n < requests/20 || n > requests/5 {
		t.Errorf("%d of %d requests failed, want about a tenth", n, requests)
	}
	if !slices.Equal(first, run(fault)) {
		t.Error("other requests failed with the same seed")
	}
	fault.Seed = 2
	if slices.Equal(first, run(fault)) {
		t.Error("the same requests failed with another seed")
	}
	fault.Times = 3
	if n := count(run(fault)); n != 3 {
		t.Errorf("%d requests failed, want 3", n)
	}
}

func TestCOSFault_CutAfter(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	body := string(pattern(1 << 20))
	put(t, c, "o", body)
	srv.SetCOSFault(cosemu.COSFault{Times: 1, CutAfter: 1000})
	resp, err := c.Object.Get(t.Context(), "o", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || string(got) != body[:1000] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestCOSFault_DropAndDelay(t *testing.T) {
	srv := start(t, cosemu.Options{})
	client := httpClient(t, srv)
	srv.SetCOSFault(cosemu.COSFault{Times: 1, Drop: true})
	if resp, err := client.Do(request(t, longLived(srv), http.MethodPut, "/o", strings.NewReader("x"))); err == nil {
		resp.Body.Close()
		t.Errorf("got %s", resp.Status)
	}
	if requests := srv.Requests(); len(requests) != 1 || requests[0].URI != "/o" || requests[0].Status != 0 || srv.Stats().COSRequests != 1 {
		t.Errorf("recorded: %+v", requests)
	}
	srv.SetCOSFault(cosemu.COSFault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if resp, err := client.Do(request(t, longLived(srv), http.MethodGet, "/o", nil).WithContext(ctx)); err == nil {
		resp.Body.Close()
		t.Errorf("got %s", resp.Status)
	}
}

// TestCOSFault_Slow checks the response of a slow operation: 200 and spaces first,
// then the result or an error.
func TestCOSFault_Slow(t *testing.T) {
	srv := start(t, cosemu.Options{})
	c := sdk(t, srv, bucket1, longLived(srv))
	put(t, c, "src", "x")
	srv.SetCOSFault(cosemu.COSFault{}.WithSlow(30 * time.Millisecond))
	client := httpClient(t, srv)

	copied := do(t, client, request(t, longLived(srv), http.MethodPut, "/dst", nil, "x-cos-copy-source: "+host1+"/src", "Content-Length: 0"))
	if copied.status != http.StatusOK || !strings.HasPrefix(copied.body, "   <?xml") || !strings.Contains(copied.body, "<CopyObjectResult>") {
		t.Errorf("%d %q", copied.status, copied.body)
	}

	id := initiate(t, c, "o")
	part := uploadPart(t, c, "o", id, 1, []byte("x"))
	if _, _, err := c.Object.CompleteMultipartUpload(t.Context(), "o", id, &cos.CompleteMultipartUploadOptions{Parts: []cos.Object{part}}); err != nil {
		t.Error(err)
	}

	failed := do(t, client, request(t, longLived(srv), http.MethodPut, "/dst?partNumber=1&uploadId=none", nil, "x-cos-copy-source: "+host1+"/src", "Content-Length: 0"))
	if failed.status != http.StatusOK || !strings.HasPrefix(failed.body, "   <?xml") || failed.code() != "NoSuchUpload" {
		t.Errorf("%d %q", failed.status, failed.body)
	}
}

func TestClose_DuringDelay(t *testing.T) {
	srv, err := cosemu.Start(cosemu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	srv.SetCOSFault(cosemu.COSFault{Delay: time.Hour, Match: func(*http.Request) bool { close(arrived); return true }})
	r := request(t, longLived(srv), http.MethodPut, "/o", strings.NewReader("x"))
	done := make(chan error)
	client := httpClient(t, srv)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	<-arrived
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("response after Close")
	}
}

func TestRequests_RecordsInOrder(t *testing.T) {
	srv := start(t, cosemu.Options{})
	creds := issue(t, srv, policyOf([]string{"name/cos:PutObject"}, []string{"*"}))
	client := httpClient(t, srv)
	do(t, client, request(t, creds, http.MethodPut, "/a%2Fb?x=1", strings.NewReader("x"), "x-cos-meta-a: 1"))
	do(t, client, request(t, creds, http.MethodGet, "/a", nil))
	requests := srv.Requests()
	if len(requests) != 2 || srv.Stats().COSRequests != 2 {
		t.Fatalf("%+v", requests)
	}
	first, second := requests[0], requests[1]
	if first.Method != http.MethodPut || first.URI != "/a%2Fb?x=1" || first.Host != host1 || first.Action != "PutObject" ||
		first.SecretID != creds.id || first.Status != 200 || first.Code != "" || first.Header.Get("x-cos-meta-a") != "1" {
		t.Errorf("%+v", first)
	}
	if second.Action != "GetObject" || second.Status != 403 || second.Code != "AccessDenied" {
		t.Errorf("%+v", second)
	}
	for range 1100 {
		do(t, client, request(t, creds, http.MethodPut, "/many", nil, "Content-Length: 0"))
	}
	do(t, client, request(t, creds, http.MethodPut, "/last", nil, "Content-Length: 0"))
	requests = srv.Requests()
	if len(requests) != 1024 || requests[1023].URI != "/last" || requests[0].URI != "/many" {
		t.Errorf("%d requests, last %s", len(requests), requests[len(requests)-1].URI)
	}
}
