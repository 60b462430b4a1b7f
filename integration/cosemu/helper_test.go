package cosemu_test

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"
	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/integration/cosemu"
)

const (
	bucket1 = "examplebucket-1250000000"
	bucket2 = "otherbucket-1250000000"
	region  = "ap-guangzhou"
	host1   = bucket1 + ".cos." + region + ".myqcloud.com"
)

// start runs an emulator until the end of the test.
func start(t testing.TB, o cosemu.Options) *cosemu.Server {
	t.Helper()
	if o.Buckets == nil {
		o.Buckets = []string{bucket1, bucket2}
	}
	srv, err := cosemu.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// clientCredentials are the credentials of a client.
type clientCredentials struct{ id, secretKey, token string }

func longLived(srv *cosemu.Server) clientCredentials {
	return clientCredentials{id: srv.SecretID(), secretKey: srv.SecretKey()}
}

// httpClient returns a client that dials the emulator for every host.
func httpClient(t testing.TB, srv *cosemu.Server) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.COSAddr())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// sdk returns the official Go SDK for one bucket of the emulator.
func sdk(t testing.TB, srv *cosemu.Server, bucket string, creds clientCredentials) *cos.Client {
	t.Helper()
	u, err := url.Parse("http://" + bucket + ".cos." + region + ".myqcloud.com")
	if err != nil {
		t.Fatal(err)
	}
	c := cos.NewClient(&cos.BaseURL{BucketURL: u}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID: creds.id, SecretKey: creds.secretKey, SessionToken: creds.token,
		Transport: httpClient(t, srv).Transport,
	}})
	c.Conf.RetryOpt.Count = 1
	return c
}

// policyOf returns a policy with one allow statement.
func policyOf(actions, resources []string) *sts.CredentialPolicy {
	return &sts.CredentialPolicy{Statement: []sts.CredentialPolicyStatement{
		{Effect: "allow", Action: actions, Resource: resources},
	}}
}

func resource(path string) string { return "qcs::cos:" + region + ":uid/1250000000:" + path }

// stsClient returns the official STS SDK.
func stsClient(t testing.TB, srv *cosemu.Server, creds clientCredentials) *sts.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return sts.NewClient(creds.id, creds.secretKey, &http.Client{Transport: transport},
		sts.Host(strings.TrimPrefix(srv.STSURL(), "http://")), sts.Scheme("http"))
}

// issue gets credentials with the policy from STS.
func issue(t testing.TB, srv *cosemu.Server, p *sts.CredentialPolicy) clientCredentials {
	t.Helper()
	result, err := stsClient(t, srv, longLived(srv)).GetCredential(&sts.CredentialOptions{Policy: p, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	c := result.Credentials
	return clientCredentials{c.TmpSecretID, c.TmpSecretKey, c.SessionToken}
}

// request returns a signed request to host1. It signs the header fields ("Name:
// value") as the Go SDK does.
func request(t testing.TB, creds clientCredentials, method, target string, body io.Reader, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+host1+target, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	if r.ContentLength > 0 {
		r.Header.Set("Content-Length", fmt.Sprint(r.ContentLength))
	}
	cos.AddAuthorizationHeader(creds.id, creds.secretKey, creds.token, r, cos.NewAuthTime(time.Hour))
	return r
}

// httpResponse is a response with its body.
type httpResponse struct {
	status int
	header http.Header
	body   string
}

func do(t testing.TB, c *http.Client, r *http.Request) httpResponse {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return httpResponse{resp.StatusCode, resp.Header, string(body)}
}

// code returns the error code in the XML of the response.
func (a httpResponse) code() string {
	_, rest, _ := strings.Cut(a.body, "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	return code
}

// raw sends raw bytes on a new connection and reads the response.
func raw(t testing.TB, addr, text string) httpResponse {
	t.Helper()
	a, err := tryRaw(addr, text)
	if err != nil {
		t.Fatalf("%v, after\n%s", err, text)
	}
	return a
}

func tryRaw(addr, text string) (httpResponse, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return httpResponse{}, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return httpResponse{}, err
	}
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return httpResponse{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return httpResponse{resp.StatusCode, resp.Header, string(body)}, err
}

// wantCOS fails unless err is COS's error with the status and code.
func wantCOS(t testing.TB, err error, status int, code string) {
	t.Helper()
	var e *cos.ErrorResponse
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want %d %s", err, status, code)
	}
	if e.Response.StatusCode != status || e.Code != code {
		t.Fatalf("got %d %s (%s), want %d %s", e.Response.StatusCode, e.Code, e.Message, status, code)
	}
}

func put(t testing.TB, c *cos.Client, key, body string) {
	t.Helper()
	if _, err := c.Object.Put(t.Context(), key, strings.NewReader(body), nil); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func get(t testing.TB, c *cos.Client, key string, o *cos.ObjectGetOptions) (string, *cos.Response) {
	t.Helper()
	resp, err := c.Object.Get(t.Context(), key, o)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp
}

// contentMD5Of returns the header field with the MD5 of body.
func contentMD5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return "Content-MD5: " + base64.StdEncoding.EncodeToString(sum[:])
}
