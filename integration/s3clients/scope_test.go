package s3clients_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestGoSDK_TemporaryCredentials checks that temporary credentials are accepted with
// their session token, and limited to their scope.
func TestGoSDK_TemporaryCredentials(t *testing.T) {
	emu := startEmulator(t)
	query := url.Values{
		"bucket": {bucket}, "region": {region}, "prefix": {"in/*"}, "action": {"name/cos:PutObject", "name/cos:GetObject", "name/cos:GetBucket"},
	}
	status, text := send(t, &http.Client{}, http.MethodGet, emu.CredentialsServerURL()+"?"+query.Encode(), nil, "")
	var issued struct {
		Credentials struct{ TmpSecretID, TmpSecretKey, SessionToken string }
	}
	if err := json.Unmarshal([]byte(text), &issued); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, text, err)
	}
	creds := issued.Credentials
	c := client(t, emu, func(o *s3.Options) { o.Credentials = static(creds.TmpSecretID, creds.TmpSecretKey, creds.SessionToken) })
	put(t, c, "in/a", "body")
	_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/b"), CopySource: aws.String(bucket + "/in/a")})
	if err != nil {
		t.Error(err)
	}
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("in/")})
	if err != nil || len(list.Contents) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	wantError(t, err, 403, "AccessDenied")
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("out"), Body: strings.NewReader("body")})
	wantError(t, err, 403, "AccessDenied")
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/a")})
	wantError(t, err, 403, "AccessDenied")
	none := client(t, emu, func(o *s3.Options) { o.Credentials = static(creds.TmpSecretID, creds.TmpSecretKey, "") })
	_, err = none.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/a")})
	wantError(t, err, 400, "InvalidToken")
}
