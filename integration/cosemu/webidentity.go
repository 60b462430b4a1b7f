package cosemu

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
)

// WebIdentityToken returns a token for Role.WebIdentityToken: a JWT whose issuer is a TKE
// cluster with this region and id. Its signature is random.
func WebIdentityToken(region, id string) string {
	encode := base64.RawURLEncoding.EncodeToString
	payload, _ := json.Marshal(map[string]any{ // strings cannot fail
		"iss": "https://" + region + "-oidc.tke.tencentcs.com/id/" + id,
		"aud": []string{"sts.cloud.tencent.com"},
		"sub": "system:serviceaccount:default:app",
	})
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode(payload) + "." + encode(randomBytes(256))
}

// webIdentity issues credentials with the permissions of the role for a token of the
// provider that the role trusts. The call needs no other proof.
func (s *Server) webIdentity(call stsCall) (*Credentials, *stsError) {
	if err := s.checkTimestamp(call); err != nil {
		return nil, err
	}
	switch {
	case call.version != stsVersion:
		return nil, stsErrorf("NoSuchVersion", "The API version %s is not available.", call.version)
	case call.Region == "":
		return nil, missingParameter("Region")
	}
	for _, name := range []string{"ProviderId", "WebIdentityToken"} {
		if call.Params.Get(name) == "" {
			return nil, missingParameter(name)
		}
	}
	role, err := s.roleOf(call)
	switch {
	case err != nil:
		return nil, err
	case role.ProviderID != call.Params.Get("ProviderId"):
		return nil, stsErrorf("UnauthorizedOperation", "the role does not trust this ProviderId")
	case subtle.ConstantTimeCompare([]byte(role.WebIdentityToken()), []byte(call.Params.Get("WebIdentityToken"))) != 1:
		return nil, stsErrorf("InvalidParameter.WebIdentityTokenError", "the provider does not accept this WebIdentityToken")
	}
	seconds, err := call.duration(roleDuration, maxRoleDuration)
	if err != nil {
		return nil, err
	}
	return s.issue(s.lifetime(seconds), role.rights, role.ARN), nil
}
