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

// waitFor is a program for scripts: it succeeds as soon as the file of its first
// argument contains the text of its second.
func waitFor() {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(os.Args[1]); err == nil && bytes.Contains(text, []byte(os.Args[2])) {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "no %q in %s\n", os.Args[2], os.Args[1])
	os.Exit(1)
}

// copyTest is a COS program: it gets credentials from the environment of cosemu and
// reads back an object that it has written.
func copyTest() {
	if err := roundTrip(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("read back")
}

// newClient returns the SDK for the environment of cosemu. change modifies every
// request after it was signed.
func newClient(change func(*http.Request)) (*cos.Client, error) {
	creds, err := getCredentials(os.Getenv("COSPROXY_SOURCE"))
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
		SecretID: creds.id, SecretKey: creds.secret, SessionToken: creds.token,
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

// tamperTest modifies signed requests: a download becomes a request for the ACL, an
// upload becomes a copy. It prints the status codes of both responses.
func tamperTest() {
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
