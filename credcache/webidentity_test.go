package credcache_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache"
)

// webIdentityToken returns a JWT with this payload. Its signature is secret.
func webIdentityToken(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(payload)) + "." + encode([]byte(secret))
}

func TestOIDC_Issuer(t *testing.T) {
	const beijing = `{"iss":"https://ap-beijing-fsi-oidc.tke.tencentcs.com/id/7cbe7ca92eba3abc76a17de1","aud":["sts.cloud.tencent.com"]}`
	for _, tt := range []struct {
		name             string
		token            string
		region, provider string // options
		want             string // region and provider of the call; "": UnknownIssuer
	}{
		{"read from the token", webIdentityToken(beijing), "", "", "ap-beijing-fsi 7cbe7ca92eba3abc76a17de1"},
		{"region given", webIdentityToken(beijing), "ap-shanghai", "", "ap-shanghai 7cbe7ca92eba3abc76a17de1"},
		{"provider given", webIdentityToken(beijing), "", "cls-example", uploads.Region + " cls-example"},
		{"both given", webIdentityToken("{}"), "ap-shanghai", "cls-example", "ap-shanghai cls-example"},
		{"no JWT", secret, "ap-shanghai", "", ""},
		{"two parts", "a." + secret, "", "", ""},
		{"four parts", webIdentityToken(beijing) + ".a", "", "", ""},
		{"padding", "a.e30=.c", "", "", ""},
		{"payload is not JSON", webIdentityToken("iss"), "", "", ""},
		{"no issuer", webIdentityToken(`{"sub":"` + secret + `"}`), "", "", ""},
		{"issuer is a number", webIdentityToken(`{"iss":7}`), "", "", ""},
		{"issuer of another cloud", webIdentityToken(`{"iss":"https://oidc.eks.us-west-2.amazonaws.com/id/` + secret + `"}`), "", "", ""},
		{"plain http", webIdentityToken(`{"iss":"http://ap-beijing-oidc.tke.tencentcs.com/id/a"}`), "", "", ""},
		{"another domain", webIdentityToken(`{"iss":"https://ap-beijing-oidc.tke.tencentcs.com.example/id/a"}`), "", "", ""},
		{"another domain in front", webIdentityToken(`{"iss":"https://example/ap-beijing-oidc.tke.tencentcs.com/id/a"}`), "", "", ""},
		{"text in front", webIdentityToken(`{"iss":"x https://ap-beijing-oidc.tke.tencentcs.com/id/a"}`), "", "", ""},
		{"user information", webIdentityToken(`{"iss":"https://a@ap-beijing-oidc.tke.tencentcs.com/id/a"}`), "", "", ""},
		{"no id", webIdentityToken(`{"iss":"https://ap-beijing-oidc.tke.tencentcs.com/id/"}`), "", "", ""},
		{"a path as id", webIdentityToken(`{"iss":"https://ap-beijing-oidc.tke.tencentcs.com/id/a/b"}`), "", "", ""},
		{"a line break", webIdentityToken(`{"iss":"https://ap-beijing-oidc.tke.tencentcs.com/id/a\n"}`), "", "", ""},
		{"a long id", webIdentityToken(`{"iss":"https://ap-beijing-oidc.tke.tencentcs.com/id/` + strings.Repeat("a", 129) + `"}`), "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called := ""
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				var body struct{ ProviderID, WebIdentityToken string }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.WebIdentityToken != tt.token {
					t.Errorf("sent the token %q, %v", body.WebIdentityToken, err)
				}
				called = r.Header.Get("X-TC-Region") + " " + body.ProviderID
				issue(w, time.Now().Add(time.Hour).Unix())
			})
			src := oidcSource(t, server.URL, func(o *credcache.OIDCOptions) {
				o.Region, o.ProviderID, o.TokenFile = tt.region, tt.provider, write(t, t.TempDir(), "token", tt.token)
			})
			if tt.want == "" {
				wantSourceError(t.Context(), t, src, credcache.SourceError{
					Source: "oidc", Code: "UnknownIssuer", Message: "no TKE cluster", Hint: "set TKE_PROVIDER_ID and TKE_REGION", Retryable: true}, nil)
			} else if _, err := src.Fetch(t.Context(), uploads); err != nil {
				t.Error(err)
			}
			if called != tt.want {
				t.Errorf("called with %q, want %q", called, tt.want)
			}
		})
	}
}

// TestOIDC_HintProvider checks that an error can be due to a provider that STS does not know
// by the id in the issuer.
func TestOIDC_HintProvider(t *testing.T) {
	token := webIdentityToken(`{"iss":"https://ap-beijing-oidc.tke.tencentcs.com/id/a"}`)
	for _, tt := range []struct {
		provider, code string
		want           bool
	}{
		{"", "UnauthorizedOperation", true}, {"", "InvalidParameter.ParamError", true}, {"", "InternalError.SystemError", false},
		{"cls-example", "UnauthorizedOperation", false},
	} {
		server := stsServer(t, stsResponse(fmt.Sprintf(`"Error":{"Code":%q,"Message":"no"}`, tt.code)))
		src := oidcSource(t, server.URL, func(o *credcache.OIDCOptions) {
			o.ProviderID, o.TokenFile = tt.provider, write(t, t.TempDir(), "token", token)
		})
		_, err := src.Fetch(t.Context(), uploads)
		var failed *credcache.SourceError
		if !errors.As(err, &failed) || failed.Code != tt.code || strings.Contains(failed.Hint, "TKE_PROVIDER_ID") != tt.want {
			t.Errorf("provider %q, %s: %v, want the hint: %v", tt.provider, tt.code, err, tt.want)
		}
	}
}
