package cosemu_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// The official SDK against a local COS. Every host name of a bucket is dialed at
// COSAddr.
func ExampleStart() {
	emu, err := cosemu.Start(cosemu.Options{Buckets: []string{"photos-1250000000"}, Region: "ap-shanghai"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = emu.Close() }()

	bucket, err := url.Parse("http://photos-1250000000.cos.ap-shanghai.myqcloud.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := cos.NewClient(&cos.BaseURL{BucketURL: bucket}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID:  emu.SecretID(),
		SecretKey: emu.SecretKey(),
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, emu.COSAddr())
		}},
	}})
	ctx := context.Background()
	if _, err := client.Object.Put(ctx, "a.txt", strings.NewReader("hello"), nil); err != nil {
		fmt.Println(err)
		return
	}
	object, found := emu.Object("photos-1250000000", "a.txt")
	fmt.Println(object.Key, object.Size, found)

	emu.SetCOSFault(cosemu.COSFault{Times: 1, Status: http.StatusForbidden, Code: "AccessDenied"})
	resp, err := client.Object.Head(ctx, "a.txt", nil)
	fmt.Println(resp.StatusCode, err != nil)
	resp, err = client.Object.Head(ctx, "a.txt", nil)
	fmt.Println(resp.StatusCode, err != nil, "after", emu.Stats().COSRequests, "requests")
	// Output:
	// a.txt 5 true
	// 403 true
	// 200 false after 3 requests
}
