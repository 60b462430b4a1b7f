package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"cosproxy/credcache"
	"cosproxy/integration/cosemu"
	"cosproxy/proxy"
	"cosproxy/proxy/http1"
	"cosproxy/signer"
)

// A proxy for one bucket of a local COS. Without Endpoint and Upstream it is a bucket
// of Tencent Cloud.
func ExampleNew() {
	cos, err := cosemu.Start(cosemu.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = cos.Close() }()

	source := credcache.NewStatic(signer.Credentials{SecretID: cos.SecretID(), SecretKey: cos.SecretKey()})
	cache := credcache.New(source, credcache.Options{})
	defer cache.Close()

	prefixes := []string{"uploads/*"}
	p, err := proxy.New(proxy.Options{
		Routes: []proxy.Route{{
			Bucket:        "examplebucket-1250000000",
			Region:        "ap-guangzhou",
			Endpoint:      "http://{bucket}.cos.{region}.myqcloud.com",
			AllowPrefixes: prefixes,
			AllowActions:  []string{"name/cos:GetObject", "name/cos:PutObject"},
			Credentials: cache.For(credcache.Scope{
				Bucket:        "examplebucket-1250000000",
				Region:        "ap-guangzhou",
				AllowPrefixes: prefixes,
				AllowActions:  []string{"read", "upload"},
			}),
		}},
		Upstream: proxy.Upstream{ConnectTo: cos.COSAddr()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := p.NewServer(proxy.ServerOptions{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	// Any client, without credentials.
	base := "http://" + l.Addr().String()
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		fmt.Println(method, call(method, base+"/uploads/hello.txt", "hello"))
	}
	fmt.Println(http.MethodGet, call(http.MethodGet, base+"/private.txt", ""))

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	if err := <-served; !errors.Is(err, http1.ErrServerClosed) {
		fmt.Println(err)
	}
	// Output:
	// PUT 200 ""
	// GET 200 "hello"
	// GET 403 "AccessDenied"
}

// call sends a request and describes the response: its status, and its body or the
// code of the error in it.
func call(method, url, body string) string {
	var sent io.Reader
	if method == http.MethodPut {
		sent = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, sent)
	if err != nil {
		return err.Error()
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	received, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	text := string(received)
	if _, after, found := strings.Cut(text, "<Code>"); found {
		text, _, _ = strings.Cut(after, "</Code>")
	}
	return fmt.Sprintf("%d %q", resp.StatusCode, text)
}
