package credcache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"unicode"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

// maxSTSAnswer bounds what is read of an answer. A token has 4096 bytes at
// most, so a whole answer stays well below.
const maxSTSAnswer = 64 << 10

// stsCall is the http.RoundTripper of one call: it binds the call to ctx and
// lets only a bounded 200 through. STS reports its own errors with status 200,
// so any other status, a redirect included, comes from something in between.
type stsCall struct {
	ctx  context.Context
	next http.RoundTripper
}

// RoundTrip sends req under the call's context.
func (c *stsCall) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req.WithContext(c.ctx))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, statusError(resp.StatusCode)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxSTSAnswer)
	return resp, nil
}

type statusError int

func (e statusError) Error() string { return fmt.Sprintf("HTTP %d", int(e)) }

// failure makes a *SourceError of what the SDK returned. Text from outside
// enters it only where it cannot be part of a credential.
func (s *stsSource) failure(ctx context.Context, err error) error {
	var (
		api    *sts.CredentialError
		status statusError
		size   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &api):
		return s.error(&SourceError{
			Code: api.Code, Message: api.Message, RequestID: api.RequestId,
			Hint: stsHint(api.Code), Retryable: stsRetryable(api.Code),
		})
	case errors.As(err, &status):
		again := status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
		return s.error(&SourceError{
			Code: status.Error(), Message: "STS answers 200 even to what it refuses, so this came from something else",
			Hint: "check the STS endpoint " + s.host + " and any HTTP proxy before it", Retryable: again,
		})
	case ctx.Err() != nil:
		return s.error(&SourceError{Message: "no answer from " + s.host + " in time", Retryable: true, Err: ctx.Err()})
	case errors.As(err, &size):
		return s.error(&SourceError{
			Message: fmt.Sprintf("the answer of %s has more than %d bytes", s.host, size.Limit), Retryable: true, Err: ErrBadAnswer,
		})
	}
	if text := networkError(err); text != "" {
		return s.error(&SourceError{Message: "cannot reach " + s.host + ": " + text, Retryable: true})
	}
	// Not JSON, not of the STS form, or broken off. The text of such an error
	// quotes the answer, which may hold a key.
	return s.error(&SourceError{
		Message: "the answer of " + s.host + " is not one of STS, or broke off",
		Hint:    "check the STS endpoint and any HTTP proxy before it", Retryable: true, Err: ErrBadAnswer,
	})
}

// error completes e; its texts may come from outside.
func (s *stsSource) error(e *SourceError) error {
	clean := func(text string) string {
		return oneLine(strings.ReplaceAll(text, s.opts.SecretKey, "[redacted]"))
	}
	e.Source = "sts"
	e.Code, e.Message, e.RequestID = clean(e.Code), clean(e.Message), clean(e.RequestID)
	return e
}

// networkError is the text of err if it is of a kind whose text is made here,
// from addresses and certificates. net/http's errors on malformed answers are
// not: they quote them.
func networkError(err error) string {
	var (
		op   *net.OpError
		cert *tls.CertificateVerificationError
		tlsH tls.RecordHeaderError
		wait net.Error
	)
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &cert):
		return cert.Error()
	case errors.As(err, &tlsH):
		return "no TLS there"
	case errors.As(err, &wait) && wait.Timeout():
		return "timeout"
	}
	return ""
}

// stsRetryable judges by the class of the code; the SDKs list the codes
// (tencentcloud-sdk-go, sts/v20180813/errors.go) without saying which may pass.
func stsRetryable(code string) bool {
	class, _, _ := strings.Cut(code, ".")
	return class == "InternalError" || class == "RequestLimitExceeded"
}

func stsHint(code string) string {
	switch class, _, _ := strings.Cut(code, "."); {
	case code == "AuthFailure.SignatureExpire":
		return "this machine's clock is off by more than 5 min; set it right"
	case code == "AuthFailure.SecretIdNotFound", code == "AuthFailure.InvalidSecretId":
		return "check the long-lived SecretId: it does not exist or is disabled"
	case code == "AuthFailure.SignatureFailure":
		return "check the long-lived SecretKey: it does not belong to the SecretId"
	case code == "FailedOperation.TempKeyNotAllowed", code == "AuthFailure.TokenFailure":
		return "STS wants a long-lived pair here, not a temporary key"
	case code == "InvalidParameter.OverTimeError":
		return "ask for a shorter duration: a root account gets 2h at most"
	case code == "InvalidParameter.PolicyTooLong", code == "InvalidParameter.ExtendStrategyOverSize":
		return "name fewer prefixes and actions in the scope"
	case code == "InvalidParameter.GrantOtherResource", code == "InvalidParameter.ResouceError":
		return "check bucket and region: the bucket must belong to the account of the SecretId"
	case class == "UnauthorizedOperation", code == "AuthFailure.UnauthorizedOperation":
		return "allow sts:GetFederationToken to the account of the SecretId"
	case class == "RequestLimitExceeded":
		return "too many calls to STS from this account"
	}
	return ""
}

// oneLine makes text fit for a log line: no control characters, at most 300
// runes.
func oneLine(text string) string {
	const limit = 300
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
	if len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return string(runes)
}
