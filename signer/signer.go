package signer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The errors of Sign, for errors.Is. Their texts hold neither a SecretKey nor a token.
var (
	// ErrMissingSecretID: Credentials.SecretID is empty.
	ErrMissingSecretID = errors.New("signer: Credentials.SecretID is empty; set it to sign requests")
	// ErrMissingSecretKey: Credentials.SecretKey is empty.
	ErrMissingSecretKey = errors.New("signer: Credentials.SecretKey is empty; set it to sign requests")
	// ErrExpired: COS would reject the credentials. Fetch new ones.
	ErrExpired = errors.New("signer: the credentials have expired; fetch new ones")
	// ErrRequest: the form in which net/http would send this request, or its meaning to COS, is
	// not certain. Signing it again will fail again.
	ErrRequest = errors.New("signer: the request cannot be signed")
)

// Signer signs requests with any number of credentials. The zero value is ready to use. It
// caches the SignKeys of the current minute (at most 128), so that a request costs one SHA-1
// and one HMAC. It is safe for concurrent use and must not be copied after first use.
type Signer struct {
	keys    keyCache[signKeyID, signKey]
	scratch sync.Pool // of *canonical
}

// Sign sets Authorization on req and, if creds has a Token, x-cos-security-token. It replaces
// existing ones in any spelling. now is the caller's clock, corrected for its offset to COS. The
// signature is valid from one to two minutes before now until about an hour after it, but not
// beyond the expiry of creds.
//
// On error (ErrMissingSecretID, ErrMissingSecretKey, ErrExpired, ErrRequest) req has neither
// header. The URL, Host, Method, Header, Body, ContentLength and TransferEncoding of req must
// not change between Sign and sending. Sign does not read Body.
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
		return fmt.Errorf("%w: the time is %s, the %s", ErrExpired, now.UTC().Format(time.RFC3339), creds)
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
	key := s.keys.get(signKeyID{creds.SecretID, creds.SecretKey, w}, newSignKey)
	c.text = c.appendHTTPString(c.text[:0], req.Method, path)
	c.authorization = c.appendAuthorization(c.authorization[:0], key)
	setCredentials(req, string(c.authorization), creds.Token)
	return nil
}

// read fills c with the signed parts of req and returns UriPathname. It deletes credentials
// from req.
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

// appendAuthorization appends the value of Authorization for the HttpString in c.text, and
// replaces c.text with StringToSign. The fields have the order of the document.
func (c *canonical) appendAuthorization(dst []byte, key *signKey) []byte {
	dst = append(dst, key.prefix...)
	dst = c.appendList(dst, c.headers)
	dst = append(dst, "&q-url-param-list="...)
	dst = c.appendList(dst, c.params)
	dst = append(dst, "&q-signature="...)
	c.text = appendStringToSign(c.text[:0], c.text, key.keyTime)
	return key.appendSignature(dst, c.text)
}

// setCredentials sets both headers. Their values share one allocation.
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

// sentPath returns UriPathname: the path on the wire, percent-decoded once. That is URL.Path,
// whichever encoding RequestURI chooses. It is not cleaned: "//", "." and ".." are bytes of
// object keys. A raw "+" is signed as "+", but COS decodes it to a blank, so callers must send
// %2B.
func sentPath(req *http.Request) (string, error) {
	switch u := req.URL; {
	case u == nil:
		return "", fmt.Errorf("%w: Request.URL is nil; set it", ErrRequest)
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
