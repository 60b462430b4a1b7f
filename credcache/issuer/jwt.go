package issuer

import (
	"context"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// leeway is the difference of clocks that the times in a token allow for.
const leeway = 30 * time.Second

// algorithms are the signature algorithms that are accepted. Symmetric ones and none are not.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}

// JWTOptions configure NewJWT. All fields are required.
type JWTOptions struct {
	// Issuer is the claim iss, compared exactly: the service account issuer of the cluster.
	Issuer string
	// Audience is the only audience that a token may have, compared exactly. A token for
	// another service must not work here, nor a token from here elsewhere.
	Audience string
	// Keys verify the signatures.
	Keys *Keys
}

// JWT verifies JWTs of Kubernetes service accounts (RFC 7519). Create it with NewJWT.
type JWT struct{ opts JWTOptions }

// NewJWT returns a JWT. It returns an error if an option is missing.
func NewJWT(opts JWTOptions) (*JWT, error) {
	if opts.Issuer == "" || opts.Audience == "" || opts.Keys == nil {
		return nil, errors.New("issuer: JWTOptions need Issuer, Audience and Keys")
	}
	return &JWT{opts}, nil
}

// TokenError reports an invalid token.
type TokenError struct {
	// Reason says what is wrong and what to do next. It holds no secret.
	Reason string
}

// Error returns the reason.
func (e *TokenError) Error() string { return e.Reason }

func invalidToken(reason string) error { return &TokenError{reason} }

// Caller returns the service account of a token: system:serviceaccount:<namespace>:<name>.
// The token must have a key ID, the issuer, the audience and no other, an expiry and a start of
// its validity. The error is a *TokenError, or that of Keys if they cannot be fetched.
func (v *JWT) Caller(ctx context.Context, token string) (string, error) {
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return "", invalidToken("it is not a JWT that is signed with RS256, ES256 or a variant")
	}
	header := parsed.Headers[0]
	if header.KeyID == "" {
		return "", invalidToken("its header has no kid")
	}
	keys, err := v.opts.Keys.find(ctx, header.KeyID)
	if err != nil {
		return "", err
	}
	var claims jwt.Claims
	if !verify(parsed, keys, header.Algorithm, &claims) {
		return "", invalidToken("no key of the JWKS verifies its signature; check that the token and the JWKS are of the same cluster")
	}
	return v.check(claims)
}

// verify reports whether one of the keys verifies the token, and reads its claims.
func verify(token *jwt.JSONWebToken, keys []jose.JSONWebKey, algorithm string, claims *jwt.Claims) bool {
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != algorithm {
			continue
		}
		*claims = jwt.Claims{}
		if token.Claims(key.Key, claims) == nil {
			return true
		}
	}
	return false
}

// check checks the claims of a token with a valid signature.
func (v *JWT) check(c jwt.Claims) (string, error) {
	switch {
	case c.Issuer != v.opts.Issuer:
		return "", invalidToken("its iss is not the issuer that is configured")
	case len(c.Audience) != 1 || c.Audience[0] != v.opts.Audience:
		return "", invalidToken("its aud is not the audience of this issuer alone; project a token with this audience")
	case c.Expiry == nil || c.NotBefore == nil:
		return "", invalidToken("it has no exp or nbf; project a token that expires")
	case !serviceAccountForm().MatchString(c.Subject):
		return "", invalidToken("its sub is not system:serviceaccount:<namespace>:<name>")
	}
	switch err := c.ValidateWithLeeway(jwt.Expected{Time: time.Now()}, leeway); {
	case errors.Is(err, jwt.ErrExpired):
		return "", invalidToken("it has expired; read the projected token again for each request")
	case err != nil:
		return "", invalidToken("it is not valid yet; check the clocks")
	}
	return c.Subject, nil
}
