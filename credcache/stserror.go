package credcache

import (
	"errors"
	"strings"
	"unicode"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

// failure converts an error of the SDK to a *SourceError.
func (s *stsSource) failure(c *call, err error) error {
	var api *sts.CredentialError
	if !errors.As(err, &api) {
		return c.failure(err)
	}
	return c.error(&SourceError{
		Code: api.Code, Message: api.Message, RequestID: api.RequestId,
		Hint: s.codeHint(api.Code), Retryable: stsRetryable(api.Code),
	})
}

// stsRetryable reports whether an error code of STS is transient. It depends on the class
// of the code: the SDKs list the codes (tencentcloud-sdk-go, sts/v20180813/errors.go)
// without saying which are transient.
func stsRetryable(code string) bool {
	class, _, _ := strings.Cut(code, ".")
	return class == "InternalError" || class == "RequestLimitExceeded"
}

// rejectsCaller reports whether an error code of STS says that the credentials of the caller
// are invalid or have expired. The documents do not say which code expired ones get.
func rejectsCaller(code string) bool {
	switch code {
	case "AuthFailure.TokenFailure", "AuthFailure.SecretIdNotFound", "AuthFailure.InvalidSecretId", "AuthFailure.SignatureFailure":
		return true
	}
	return false
}

// codeHint returns what to do about an error code of STS, "" if that is unknown.
func (s *stsSource) codeHint(code string) string {
	switch class, _, _ := strings.Cut(code, "."); {
	case code == "AuthFailure.SignatureExpire":
		return "this machine's clock is off by more than 5 min; correct it"
	case s.chained && rejectsCaller(code):
		return "STS rejects the credentials of the caller; new ones are fetched; if this continues, check that the role of the caller exists"
	case code == "AuthFailure.SecretIdNotFound", code == "AuthFailure.InvalidSecretId":
		return "check the long-lived SecretId: it does not exist or is disabled"
	case code == "AuthFailure.SignatureFailure":
		return "check the long-lived SecretKey: it does not belong to the SecretId"
	case code == "FailedOperation.TempKeyNotAllowed", code == "AuthFailure.TokenFailure":
		return "STS accepts only a long-lived key pair here, not temporary credentials"
	case code == "InvalidParameter.OverTimeError":
		return "ask for a shorter duration, or raise the maximum session duration of the role; a root account gets 2h at most"
	case code == "InvalidParameter.PolicyTooLong", code == "InvalidParameter.ExtendStrategyOverSize":
		return "name fewer prefixes and actions in the scope"
	case code == "InvalidParameter.GrantOtherResource", code == "InvalidParameter.ResouceError":
		return "check bucket and region: the bucket must belong to the account of the SecretId"
	case code == "InvalidParameter.WebIdentityTokenError":
		return "check that the token comes from the identity provider and has not expired"
	case code == "ResourceNotFound.RoleNotFound", code == "InternalError.GetRoleError", code == "InternalError.IllegalRole":
		return "check the role ARN"
	case class == "UnauthorizedOperation", code == "AuthFailure.UnauthorizedOperation":
		return s.allow
	case class == "RequestLimitExceeded":
		return "this account makes too many calls to STS; wait, or share the credentials of one issuer"
	}
	return ""
}

// oneLine makes text safe for a log line: it replaces control characters and truncates the
// text to 300 runes.
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
