package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"
)

// waitFor is a program for scripts: it ends well once the file of its first
// argument holds the text of its second.
func waitFor() {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(os.Args[1]); err == nil && bytes.Contains(text, []byte(os.Args[2])) {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "no %q in %s\n", os.Args[2], os.Args[1])
	os.Exit(1)
}

// copyTest is a COS program: it takes the environment that cosemu has made, gets
// a key and reads back what it has written.
func copyTest() {
	if err := roundTrip(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("read back")
}

// newClient is the SDK in the environment that cosemu has made, with a change to
// make to every request once it is signed.
func newClient(change func(*http.Request)) (*cos.Client, error) {
	key, err := fetchKey(os.Getenv("COSPROXY_SOURCE"))
	if err != nil {
		return nil, err
	}
	endpoint := strings.NewReplacer("{bucket}", os.Getenv("COSPROXY_BUCKET"), "{region}", os.Getenv("COSPROXY_REGION")).
		Replace(os.Getenv("COSPROXY_ENDPOINT"))
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, os.Getenv("COSPROXY_CONNECT_TO"))
	}}
	return cos.NewClient(&cos.BaseURL{BucketURL: u}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: key.id, SecretKey: key.secret, SessionToken: key.token,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			change(r)
			return transport.RoundTrip(r)
		}),
	}}), nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func roundTrip() error {
	c, err := newClient(func(*http.Request) {})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := c.Object.Put(ctx, "a", strings.NewReader("body"), nil); err != nil {
		return err
	}
	resp, err := c.Object.Get(ctx, "a", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != "body" {
		err = fmt.Errorf("read back %q", body)
	}
	return err
}

// addTest is what someone on the way could make of signed requests: of a download
// a look at the ACL, of an upload a copy. It prints the two answers' status codes.
func addTest() {
	if err := roundTrip(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c, err := newClient(func(r *http.Request) {
		if r.Method == http.MethodGet {
			r.URL.RawQuery = "acl"
		} else {
			r.Header.Set("x-cos-copy-source", r.Host+"/a")
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	download, _ := c.Object.Get(ctx, "a", nil)
	upload, _ := c.Object.Put(ctx, "b", strings.NewReader("body"), nil)
	fmt.Println(download.StatusCode, upload.StatusCode)
}
