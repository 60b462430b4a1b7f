package cosemu

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// authenticate verifies the signature and the session token of x, from the raw request
// alone.
func (x *exchange) authenticate() error {
	if x.dialect == DialectS3 {
		return x.authenticateS3()
	}
	auth, err := parseAuthorization(x.r, x.query)
	if err != nil {
		return err
	}
	x.secretID = auth.secretID
	creds := x.s.credentials.get(auth.secretID)
	if creds == nil {
		return unknownSecretID()
	}
	if err := checkWindow(auth.signTime, x.now); err != nil {
		return err
	}
	if err := checkWindow(auth.keyTime, x.now); err != nil {
		return err
	}
	if err := x.checkSignature(auth, creds.SecretKey); err != nil {
		return err
	}
	if err := x.checkToken(creds, auth.presigned); err != nil {
		return err
	}
	if creds.expired(x.now) {
		return expiredToken()
	}
	if x.s.options.StrictSignature {
		if err := x.checkStrict(auth); err != nil {
			return err
		}
	}
	x.rights = creds.rights
	return nil
}

// checkSignature recomputes the signature with secretKey. It recomputes the lists too:
// a signature over names that are not in the request proves nothing.
func (x *exchange) checkSignature(auth authorization, secretKey string) error {
	headerNames, headers := canonicalize(wireHeaders(x.r), auth.headerList)
	paramNames, parameters := canonicalize(wireParams(x.query, auth.presigned), auth.paramList)
	format := strings.ToLower(x.r.Method) + "\n" + x.signedPath + "\n" + parameters + "\n" + headers + "\n"
	toSign := stringToSign(auth.signTime, format)
	want := hmacSHA1(signKey(secretKey, auth.keyTime), toSign)

	mismatch := ""
	switch {
	case headerNames != auth.headerList:
		mismatch = "q-header-list does not list the request's headers in order; from the wire it would be: " + headerNames
	case paramNames != auth.paramList:
		mismatch = "q-url-param-list does not list the request's parameters in order; from the wire it would be: " + paramNames
	case headerNames != "host" && !strings.HasPrefix(headerNames, "host;") && !strings.Contains(headerNames+";", ";host;"):
		mismatch = "the Host header must be signed"
	case subtle.ConstantTimeCompare([]byte(want), []byte(auth.signature)) != 1:
		mismatch = "The Signature you specified is invalid."
	default:
		return nil
	}
	e := cosErrorf(http.StatusForbidden, "SignatureDoesNotMatch", "%s", mismatch)
	e.stringToSign, e.formatString = toSign, format
	return e
}

// checkToken compares the session token with that of the credentials. A presigned URL
// may have it in a parameter of the same name.
func (x *exchange) checkToken(creds *Credentials, presigned bool) error {
	tokens := x.r.Header["X-Cos-Security-Token"]
	if presigned && len(tokens) == 0 {
		for _, p := range x.query {
			if p.name == "x-cos-security-token" {
				tokens = append(tokens, p.value)
			}
		}
	}
	token := ""
	switch len(tokens) {
	case 0:
	case 1:
		token = tokens[0]
	default:
		return accessDenied("more than one x-cos-security-token")
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(creds.Token)) != 1 {
		return accessDenied("x-cos-security-token is not the one that was issued with this SecretId")
	}
	return nil
}
