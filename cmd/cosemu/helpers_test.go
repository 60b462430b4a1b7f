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
	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
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

func roundTrip() error {
	client := sts.NewClient(os.Getenv("TENCENTCLOUD_SECRET_ID"), os.Getenv("TENCENTCLOUD_SECRET_KEY"), nil,
		sts.Host(strings.TrimPrefix(os.Getenv("COSPROXY_STS_ENDPOINT"), "http://")), sts.Scheme("http"))
	key, err := client.GetCredential(&sts.CredentialOptions{Policy: &sts.CredentialPolicy{Statement: []sts.CredentialPolicyStatement{
		{Effect: "allow", Action: []string{"*"}, Resource: []string{"*"}},
	}}})
	if err != nil {
		return err
	}
	endpoint := strings.NewReplacer("{bucket}", os.Getenv("COSPROXY_BUCKET"), "{region}", os.Getenv("COSPROXY_REGION")).
		Replace(os.Getenv("COSPROXY_ENDPOINT"))
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	c := cos.NewClient(&cos.BaseURL{BucketURL: u}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: key.Credentials.TmpSecretID, SecretKey: key.Credentials.TmpSecretKey, SessionToken: key.Credentials.SessionToken,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, os.Getenv("COSPROXY_CONNECT_TO"))
		}},
	}})
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
