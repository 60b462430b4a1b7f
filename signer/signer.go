package signer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The errors of Sign, for errors.Is. Their texts never hold a key or a token.
var (
	// ErrMissingSecretID: the credentials name no key.
	ErrMissingSecretID = errors.New("signer: Credentials.SecretID is empty; a request cannot be signed without a key")
	// ErrMissingSecretKey: the credentials hold no secret.
	ErrMissingSecretKey = errors.New("signer: Credentials.SecretKey is empty; a request cannot be signed without a key")
	// ErrExpired: COS would refuse the key; fetch a new one.
	ErrExpired = errors.New("signer: the key has expired; fetch a new one")
	// ErrRequest: it is not certain what net/http would send for this request,
	// or how COS would read it. Signing it again will not help.
	ErrRequest = errors.New("signer: the request cannot be signed")
)

// Signer signs requests. The zero value is ready, and one Signer serves any
// number of keys: it keeps the SignKeys of the current minute (at most 128), so
// that a request costs one SHA-1 and one HMAC. It is safe for
// concurrent use and must not be copied after first use.
type Signer struct {
	keys    signKeys
	scratch sync.Pool // of *canonical
}

// Sign sets Authorization and, if creds has a Token, x-cos-security-token on
// req, in place of any that it had under whatever spelling. now is the caller's
// clock, already corrected for its offset to COS; the signature is valid from
// one to two minutes before now until about an hour after it, and no longer
// than the key.
//
// On error (ErrMissingSecretID, ErrMissingSecretKey, ErrExpired, ErrRequest)
// req has neither header. The URL, Host, Method, Header, Body, ContentLength and
// TransferEncoding of req must not change between Sign and sending. Sign does
// not read from Body.
func (s *Signer) Sign(req *http.Request, creds Credentials, now time.Time) error {
	err := check(creds, now)
	if err == nil {
		err = s.sign(req, creds, windowAt(now, creds.Expires))
	}
	if err != nil {
		removeCredentials(req.Header)
	}
	return err
}

func check(creds Credentials, now time.Time) error {
	switch {
	case creds.SecretID == "":
		return ErrMissingSecretID
	case creds.SecretKey == "":
		return ErrMissingSecretKey
	case creds.Expired(now):
		return fmt.Errorf("%w: it is %s, and these are %s", ErrExpired, now.UTC().Format(time.RFC3339), creds)
	}
	return nil
}

func (s *Signer) sign(req *http.Request, creds Credentials, w window) error {
	c, ok := s.scratch.Get().(*canonical)
	if !ok {
		c = new(canonical)
	}
	defer s.scratch.Put(c)
	path, err := c.read(req, creds.Token)
	if err != nil {
		return err
	}
	key := s.keys.get(signKeyID{creds.SecretID, creds.SecretKey, w})
	c.text = c.appendHTTPString(c.text[:0], req.Method, path)
	c.authorization = c.appendAuthorization(c.authorization[:0], key)
	setCredentials(req, string(c.authorization), creds.Token)
	return nil
}

// read fills c with what is signed of req and returns UriPathname. It deletes
// the credentials that req carries.
func (c *canonical) read(req *http.Request, token string) (path string, err error) {
	c.reset()
	if path, err = sentPath(req); err != nil {
		return "", err
	}
	if err := c.addQuery(req.URL.RawQuery); err != nil {
		return "", err
	}
	if err := c.addHeaders(req, token); err != nil {
		return "", err
	}
	c.sort()
	return path, nil
}

// appendAuthorization appends the value of Authorization for the HttpString in
// c.text, which becomes StringToSign. The fields have the order of the document.
func (c *canonical) appendAuthorization(dst []byte, key *signKey) []byte {
	dst = append(dst, key.prefix...)
	dst = c.appendList(dst, c.headers)
	dst = append(dst, "&q-url-param-list="...)
	dst = c.appendList(dst, c.params)
	dst = append(dst, "&q-signature="...)
	c.text = appendStringToSign(c.text[:0], c.text, key.keyTime)
	return key.appendSignature(dst, c.text)
}

// setCredentials writes both headers; their values share one allocation.
func setCredentials(req *http.Request, authorization, token string) {
	if req.Header == nil {
		req.Header = make(http.Header, 2)
	}
	values := &[2]string{authorization, token}
	req.Header[authorizationHeader] = values[0:1:1]
	if token != "" {
		req.Header[tokenHeader] = values[1:2:2]
	}
}

// sentPath returns UriPathname: the path on the wire, percent-decoded once.
// That is URL.Path, whichever encoding of it RequestURI chooses. It is not
// cleaned: "//", "." and ".." are bytes of object keys. A raw "+" is signed as
// itself, but COS reads it as a blank, so callers send %2B.
func sentPath(req *http.Request) (string, error) {
	switch u := req.URL; {
	case u == nil:
		return "", fmt.Errorf("%w: Request.URL is nil", ErrRequest)
	case u.Opaque != "":
		return "", fmt.Errorf("%w: URL.Opaque is set, whose encoding is unknown; set URL.Path and URL.RawPath instead", ErrRequest)
	case u.Path == "":
		return "/", nil
	case !strings.HasPrefix(u.Path, "/"):
		return "", fmt.Errorf("%w: its path does not begin with a slash; set URL.Path to a slash and the object key", ErrRequest)
	default:
		return u.Path, nil
	}
}
