package credcache

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"

	"cosproxy/signer"
)

// Calls that temporary credentials authenticate. The STS SDK cannot make them: its form has no
// session token. The general SDK (tencentcloud-sdk-go) can, but its errors quote the body of
// an unexpected response, which may hold credentials, and lose the type of network errors. So
// these calls are signed here with TC3-HMAC-SHA256, "Signature v3" of API 3.0. A test compares
// the signature with a captured call of the general SDK.

const (
	tc3Algorithm   = "TC3-HMAC-SHA256"
	tc3ContentType = "application/json"
	stsVersion     = "2018-08-13"
)

// callTC3 calls an action of STS with params as JSON, authenticated by creds.
func (s *stsSource) callTC3(ctx context.Context, creds signer.Credentials, action, region string, params any) (signer.Credentials, error) {
	c := &call{service: &s.service, ctx: ctx, secrets: []string{creds.SecretKey, creds.Token}}
	result, err := s.requestTC3(c, creds, action, region, params)
	return s.result(c, result, err)
}

func (s *stsSource) requestTC3(c *call, creds signer.Credentials, action, region string, params any) (*sts.CredentialResult, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	header := http.Header{}
	for name, value := range map[string]string{
		"Authorization":  tc3Authorization(creds, s.host, body, now),
		"Content-Type":   tc3ContentType,
		"X-TC-Action":    action,
		"X-TC-Region":    region,
		"X-TC-Timestamp": strconv.FormatInt(now.Unix(), 10),
		"X-TC-Token":     creds.Token,
		"X-TC-Version":   stsVersion,
	} {
		header.Set(name, value)
	}
	body, err = c.send(http.MethodPost, s.scheme+"://"+s.host+"/", header, body)
	if err != nil {
		return nil, err
	}
	var complete sts.CredentialCompleteResult
	if err := json.Unmarshal(body, &complete); err != nil {
		return nil, err
	}
	switch result := complete.Response; {
	case result != nil && result.Error != nil:
		result.Error.RequestId = result.RequestId
		return nil, result.Error
	case result == nil || result.Credentials == nil:
		return nil, ErrInvalidResponse
	default:
		return result, nil
	}
}

// tc3Authorization returns the field Authorization of a POST to STS. The session token is not
// signed.
func tc3Authorization(creds signer.Credentials, host string, body []byte, at time.Time) string {
	const signed = "content-type;host"
	date := at.UTC().Format(time.DateOnly)
	scope := date + "/sts/tc3_request"
	canonical := "POST\n/\n\ncontent-type:" + tc3ContentType + "\nhost:" + host + "\n\n" + signed + "\n" + sha256Hex(body)
	text := fmt.Sprintf("%s\n%d\n%s\n%s", tc3Algorithm, at.Unix(), scope, sha256Hex([]byte(canonical)))
	key := []byte("TC3" + creds.SecretKey)
	for _, part := range []string{date, "sts", "tc3_request"} {
		key = hmacSHA256(key, part)
	}
	return fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", tc3Algorithm, creds.SecretID, scope, signed, hmacSHA256(key, text))
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
