package credcache

import (
	"errors"
	"strings"
	"unicode"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

// failure makes a *SourceError of what the SDK returned.
func (s *stsSource) failure(c *call, err error) error {
	var api *sts.CredentialError
	if !errors.As(err, &api) {
		return c.failure(err)
	}
	return c.error(&SourceError{
		Code: api.Code, Message: api.Message, RequestID: api.RequestId,
		Hint: s.hint(api.Code), Retryable: stsRetryable(api.Code),
	})
}

// stsRetryable judges by the class of the code; the SDKs list the codes
// (tencentcloud-sdk-go, sts/v20180813/errors.go) without saying which may pass.
func stsRetryable(code string) bool {
	class, _, _ := strings.Cut(code, ".")
	return class == "InternalError" || class == "RequestLimitExceeded"
}

func (s *stsSource) hint(code string) string {
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
		return "ask for a shorter duration: a root account gets 2h at most, a role its maximum session duration"
	case code == "InvalidParameter.PolicyTooLong", code == "InvalidParameter.ExtendStrategyOverSize":
		return "name fewer prefixes and actions in the scope"
	case code == "InvalidParameter.GrantOtherResource", code == "InvalidParameter.ResouceError":
		return "check bucket and region: the bucket must belong to the account of the SecretId"
	case code == "InvalidParameter.WebIdentityTokenError":
		return "check that the token is of the identity provider and has not expired"
	case code == "ResourceNotFound.RoleNotFound", code == "InternalError.GetRoleError", code == "InternalError.IllegalRole":
		return "check the role ARN"
	case class == "UnauthorizedOperation", code == "AuthFailure.UnauthorizedOperation":
		return s.allow
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
