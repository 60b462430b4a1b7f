package s3clients_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cosproxy/integration/cosemu"
)

const (
	bucket = "examplebucket-1250000000"
	region = "ap-guangzhou"
	// cosHost is the host of the region in COS.
	cosHost = "cos." + region + ".myqcloud.com"
)

// startEmulator runs an emulator until the end of the test.
func startEmulator(t *testing.T) *cosemu.Server {
	t.Helper()
	emu, err := cosemu.Start(cosemu.Options{Buckets: []string{bucket, "otherbucket-1250000000"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := emu.Close(); err != nil {
			t.Error(err)
		}
	})
	return emu
}

// static returns fixed credentials.
func static(secretID, secretKey, token string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: secretID, SecretAccessKey: secretKey, SessionToken: token}, nil
	})
}

// dial returns a client that connects to addr for every host.
func dial(t *testing.T, addr string) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// options returns the settings of the AWS SDK that COS needs: its endpoint with virtual
// hosts, and no checksums beyond the required ones.
func options(t *testing.T, emu *cosemu.Server) s3.Options {
	t.Helper()
	return s3.Options{
		Region: region, BaseEndpoint: aws.String("http://cos." + region + ".myqcloud.com"),
		Credentials: static(emu.SecretID(), emu.SecretKey(), ""), HTTPClient: dial(t, emu.COSAddr()),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		Retryer:                    aws.NopRetryer{},
	}
}

func client(t *testing.T, emu *cosemu.Server, change ...func(*s3.Options)) *s3.Client {
	t.Helper()
	return s3.New(options(t, emu), change...)
}

// apiError is the error of a response of S3.
type apiError interface {
	error
	ErrorCode() string
	ErrorMessage() string
}

// statusError is an error with the status of the response.
type statusError interface {
	error
	HTTPStatusCode() int
}

// stored returns the values of a header field of an object. Its name is not canonical.
func stored(o cosemu.Object, name string) []string { return o.Header[name] }

// wantError fails unless err has this status and code.
func wantError(t *testing.T, err error, status int, code string) {
	t.Helper()
	var api apiError
	var response statusError
	if !errors.As(err, &api) || !errors.As(err, &response) || api.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Fatalf("got %v, want %d %s", err, status, code)
	}
}
