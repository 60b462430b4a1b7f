package issuer_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache/issuer"
)

// parsed parses the JWKS that fetch returns.
func parsed(fetch func(context.Context) ([]byte, error)) func(context.Context) (*issuer.KeySet, error) {
	return func(ctx context.Context) (*issuer.KeySet, error) {
		document, err := fetch(ctx)
		if err != nil {
			return nil, err
		}
		return issuer.ParseKeys(document)
	}
}

// startKeys returns Keys that fetch with fetch until the test ends.
func startKeys(t *testing.T, fetch func(context.Context) ([]byte, error)) *issuer.Keys {
	t.Helper()
	keys := issuer.NewKeys(issuer.KeysOptions{Fetch: parsed(fetch)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		keys.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return keys
}

func fixedKeys(t *testing.T, keys ...map[string]any) *issuer.Keys {
	t.Helper()
	return startKeys(t, func(context.Context) ([]byte, error) { return jwks(keys...), nil })
}

func newJWT(t *testing.T, keys *issuer.Keys) *issuer.JWT {
	t.Helper()
	v, err := issuer.NewJWT(issuer.JWTOptions{Issuer: iss, Audience: audience, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestJWT_Caller(t *testing.T) {
	ec, rsaKey := newECKey(t, "ec"), newRSAKey(t, "rsa", 2048)
	other, small := newECKey(t, "ec"), newRSAKey(t, "small", 2048)
	v := newJWT(t, fixedKeys(t, ec.jwk(), rsaKey.jwk()))
	now := time.Now().Unix()
	tampered := strings.Split(ec.sign(t, claims(), nil), ".")
	tampered[1] = strings.Split(ec.sign(t, claims("sub", "system:serviceaccount:kube-system:admin"), nil), ".")[1]
	header := func(pairs ...any) map[string]any {
		all := make(map[string]any)
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i].(string)] = pairs[i+1]
		}
		return all
	}
	for _, tt := range []struct {
		name, token string
		reason      string // of the rejection; empty: accepted
	}{
		{"ES256", ec.sign(t, claims(), nil), ""},
		{"RS256", rsaKey.sign(t, claims(), nil), ""},
		{"aud as a string", ec.sign(t, claims("aud", audience), nil), ""},
		{"within the leeway", ec.sign(t, claims("exp", now-20, "nbf", now+20, "iat", now+20), nil), ""},

		{"none", ec.sign(t, claims(), header("alg", "none")), "RS256, ES256"},
		{"None", ec.sign(t, claims(), header("alg", "None")), "RS256, ES256"},
		{"HS256 with the public key", ec.sign(t, claims(), header("alg", "HS256")), "RS256, ES256"},
		{"PS256", rsaKey.sign(t, claims(), header("alg", "PS256")), "RS256, ES256"},
		{"no alg", ec.sign(t, claims(), header("alg", nil)), "RS256, ES256"},
		{"the alg of another key type", ec.sign(t, claims(), header("alg", "RS256")), "no key of the JWKS"},
		{"the kid of another key", ec.sign(t, claims(), header("kid", "rsa")), "no key of the JWKS"},
		{"no kid", ec.sign(t, claims(), header("kid", nil)), "no kid"},
		{"an empty kid", ec.sign(t, claims(), header("kid", "")), "no kid"},
		{"an unknown kid", ec.sign(t, claims(), header("kid", "x")), "kid is unknown"},
		{"another key with this kid", other.sign(t, claims(), nil), "no key of the JWKS"},
		{"its own key in the header", small.sign(t, claims(), header("kid", "rsa", "jwk", small.jwk())), "no key of the JWKS"},
		{"an unknown crit", ec.sign(t, claims(), header("crit", []string{"x"}, "x", 1)), "no key of the JWKS"},
		{"a changed payload", strings.Join(tampered, "."), "no key of the JWKS"},
		{"no signature", strings.Join(strings.Split(ec.sign(t, claims(), nil), ".")[:2], ".") + ".", "no key of the JWKS"},
		{"garbage", "a.b.c", "RS256, ES256"},

		{"another iss", ec.sign(t, claims("iss", iss+"/"), nil), "its iss"},
		{"no iss", ec.sign(t, claims("iss", nil), nil), "its iss"},
		{"another aud", ec.sign(t, claims("aud", []string{"https://kubernetes.default.svc"}), nil), "its aud"},
		{"one more aud", ec.sign(t, claims("aud", []string{audience, "vault"}), nil), "its aud"},
		{"a longer aud", ec.sign(t, claims("aud", []string{audience + "2"}), nil), "its aud"},
		{"no aud", ec.sign(t, claims("aud", nil), nil), "its aud"},
		{"an empty aud", ec.sign(t, claims("aud", []string{}), nil), "its aud"},
		{"expired", ec.sign(t, claims("exp", now-60), nil), "expired"},
		{"no exp", ec.sign(t, claims("exp", nil), nil), "no exp or nbf"},
		{"not yet valid", ec.sign(t, claims("nbf", now+60), nil), "not valid yet"},
		{"no nbf", ec.sign(t, claims("nbf", nil), nil), "no exp or nbf"},
		{"from the future", ec.sign(t, claims("iat", now+60), nil), "not valid yet"},
		{"a node", ec.sign(t, claims("sub", "system:node:a"), nil), "its sub"},
		{"the name of a token", ec.sign(t, claims("sub", "team-a"), nil), "its sub"},
		{"no sub", ec.sign(t, claims("sub", nil), nil), "its sub"},
		{"exp as text", ec.sign(t, claims("exp", "4000000000"), nil), "no key of the JWKS"},
		{"Sub instead of sub", ec.sign(t, claims("sub", nil, "Sub", podCaller), nil), "its sub"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			caller, err := v.Caller(t.Context(), tt.token)
			if tt.reason == "" {
				if caller != podCaller || err != nil {
					t.Errorf("got %q, %v", caller, err)
				}
				return
			}
			var invalid *issuer.TokenError
			if caller != "" || !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, tt.reason) || !strings.Contains(err.Error(), invalid.Reason) {
				t.Errorf("got %q, %v; want a TokenError that says %q", caller, err, tt.reason)
			}
		})
	}
}

// A service account and a token of the same Issuer use different routes.
func TestIssuer_ServiceAccount(t *testing.T) {
	ec := newECKey(t, "ec")
	r := newRig(t, func(o *issuer.Options) {
		o.JWT = newJWT(t, fixedKeys(t, ec.jwk()))
		o.Routes = append(o.Routes, issuer.Route{Name: "1", Scope: scope("pods/*", "read"), Callers: []string{podCaller}})
	})
	pods, uploads := query(scope("pods/a/*", "read")), query(scope("uploads/*", "read"))
	r.get(ec.sign(t, claims(), nil), pods).want(t, 200, "")
	r.get(ec.sign(t, claims(), nil), uploads).want(t, 403, "ScopeNotAllowed")
	r.get(ec.sign(t, claims("sub", "system:serviceaccount:team-b:app"), nil), pods).want(t, 403, "CallerNotAllowed")
	r.get(teamA, uploads).want(t, 200, "")
	r.get(teamA, pods).want(t, 403, "ScopeNotAllowed")
	got := r.get(ec.sign(t, claims("aud", "vault"), nil), pods)
	got.want(t, 401, "Unauthenticated")
	if !strings.Contains(got.message, "project a token with this audience") {
		t.Errorf("got %q", got.message)
	}
	if log := r.log.String(); !strings.Contains(log, `"cosproxy.caller":"`+podCaller+`"`) || strings.Contains(log, "eyJ") {
		t.Errorf("the log is\n%s", log)
	}
}

// Without keys a token is not rejected as wrong.
func TestIssuer_NoKeys(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) {
		o.JWT = newJWT(t, startKeys(t, func(context.Context) ([]byte, error) { return nil, errors.New("HTTP 500") }))
	})
	got := r.get(newECKey(t, "ec").sign(t, claims(), nil), query(scope("a.txt", "read")))
	got.want(t, 503, "Unavailable")
	if !strings.Contains(r.log.String(), "HTTP 500") || strings.Contains(got.body, "HTTP 500") {
		t.Errorf("got %s; the log is\n%s", got.body, r.log.String())
	}
}

func TestNewJWT_Options(t *testing.T) {
	keys := issuer.NewKeys(issuer.KeysOptions{})
	for _, opts := range []issuer.JWTOptions{{}, {Issuer: iss, Keys: keys}, {Audience: audience, Keys: keys}, {Issuer: iss, Audience: audience}} {
		if _, err := issuer.NewJWT(opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

func TestParseKeys(t *testing.T) {
	ec, large := newECKey(t, "ec"), newRSAKey(t, "large", 2048)
	without := func(k *key, field string, value any) map[string]any {
		all := k.jwk()
		if all[field] = value; value == nil {
			delete(all, field)
		}
		return all
	}
	bare := ec.jwk()
	delete(bare, "use")
	delete(bare, "alg")
	weak := &key{id: "weak", alg: "RS256", rsa: &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: large.rsa.Primes[0], E: 65537}}}
	offCurve := without(ec, "x", encode(make([]byte, 32)))
	for _, tt := range []struct {
		name string
		keys []map[string]any
		want int // usable IDs; 0: an error
	}{
		{"both", []map[string]any{ec.jwk(), large.jwk()}, 2},
		{"no use and no alg", []map[string]any{bare}, 1},
		{"an unknown type next to it", []map[string]any{{"kty": "FUTURE", "kid": "x"}, ec.jwk()}, 1},
		{"two with one kid", []map[string]any{ec.jwk(), without(large, "kid", "ec")}, 1},
		{"none", nil, 0},
		{"no kid", []map[string]any{without(ec, "kid", nil)}, 0},
		{"for encryption", []map[string]any{without(ec, "use", "enc")}, 0},
		{"symmetric", []map[string]any{{"kty": "oct", "kid": "o", "k": encode(make([]byte, 32))}}, 0},
		{"1024 bits", []map[string]any{weak.jwk()}, 0},
		{"a point off the curve", []map[string]any{offCurve}, 0},
	} {
		got, err := issuer.ParseKeys(jwks(tt.keys...))
		n := 0
		if err == nil {
			n = got.Len()
		}
		if n != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("%s: %d keys, %v; want %d", tt.name, n, err, tt.want)
		}
	}
	many := make([]map[string]any, 101)
	for i := range many {
		many[i] = ec.jwk()
	}
	for _, document := range []string{"", "<html>", "[]", `{"keys":1}`, `{}`, string(jwks(many...))} {
		if _, err := issuer.ParseKeys([]byte(document)); err == nil {
			t.Errorf("%.20s: no error", document)
		}
	}
}
