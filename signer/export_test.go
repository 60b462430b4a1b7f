package signer

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Intermediate holds all intermediate strings of a signature.
type Intermediate struct {
	SignKey, HeaderList, ParamList, HTTPString, StringToSign, Signature string
}

// Build runs the builders on exactly these headers and parameters, without the selection of
// Sign.
func Build(method, path, rawQuery string, headers [][2]string, secretKey, keyTime string) (Intermediate, error) {
	var c canonical
	for _, h := range headers {
		c.addValue(c.addKey(h[0]), h[1])
	}
	if err := c.addQuery(rawQuery); err != nil {
		return Intermediate{}, err
	}
	c.sort()
	w, err := parseKeyTime(keyTime)
	if err != nil {
		return Intermediate{}, err
	}
	key := newSignKey(signKeyID{"id", secretKey, w})
	httpString := c.appendHTTPString(nil, method, path)
	stringToSign := appendStringToSign(nil, httpString, key.keyTime)
	return Intermediate{
		SignKey:      deriveSignKey(secretKey, keyTime),
		HeaderList:   string(c.appendList(nil, c.headers)),
		ParamList:    string(c.appendList(nil, c.params)),
		HTTPString:   string(httpString),
		StringToSign: string(stringToSign),
		Signature:    string(key.appendSignature(nil, stringToSign)),
	}, nil
}

// SignAt is Sign with a given KeyTime.
func (s *Signer) SignAt(req *http.Request, creds Credentials, keyTime string) error {
	w, err := parseKeyTime(keyTime)
	if err != nil {
		return err
	}
	return s.sign(req, creds, w)
}

// FormSignature signs the text of any policy.
func FormSignature(policy, secretKey, keyTime string) (string, error) {
	w, err := parseKeyTime(keyTime)
	return newSignKey(signKeyID{"id", secretKey, w}).formSignature([]byte(policy)), err
}

// KeyTime returns the window that Sign would use.
func KeyTime(now, expires time.Time) string { return windowAt(now, expires).keyTime() }

// CachedSignKeys counts the SignKeys in the cache.
func (s *Signer) CachedSignKeys() int {
	if keys := s.keys.current.Load(); keys != nil {
		return len(*keys)
	}
	return 0
}

// MaxSignKeys is the bound of the cache.
const MaxSignKeys = maxKeys

// EscapeValue is UrlEncode.
func EscapeValue(value string) string { return string(appendEscaped(nil, []byte(value))) }

// EscapeKey is lower(UrlEncode).
func EscapeKey(key string) string { return string(appendKey(nil, key)) }

func parseKeyTime(keyTime string) (window, error) {
	start, end, _ := strings.Cut(keyTime, ";")
	var w window
	var err error
	if w.start, err = strconv.ParseInt(start, 10, 64); err != nil {
		return w, err
	}
	w.end, err = strconv.ParseInt(end, 10, 64)
	return w, err
}

// ExplainAt is Explain with a given KeyTime.
func ExplainAt(req *http.Request, creds Credentials, keyTime string) (Explanation, error) {
	w, err := parseKeyTime(keyTime)
	if err != nil {
		return Explanation{}, err
	}
	return explain(req, creds, w)
}

// S3Intermediate returns CanonicalRequest and StringToSign of AppendFields.
func S3Intermediate(h S3Head, creds Credentials, now time.Time) (canonicalRequest, stringToSign string, err error) {
	var c canonical
	date := c.addS3Date(now)
	if err := c.addS3Head(h, creds.Token); err != nil {
		return "", "", err
	}
	c.sortS3()
	c.text = c.appendCanonicalRequest(nil, h)
	canonicalRequest = string(c.text)
	c.appendS3Authorization(nil, newS3Key(s3KeyIDAt(creds, h.Region, now)), c.bytes(date))
	return canonicalRequest, string(c.text), nil
}

// CachedS3Keys counts the signing keys in the cache.
func (s *S3Signer) CachedS3Keys() int {
	if keys := s.keys.current.Load(); keys != nil {
		return len(*keys)
	}
	return 0
}

// S3FormSignature signs the text of any policy of a form.
func S3FormSignature(policy, secretKey, region string, now time.Time) string {
	key := newS3Key(s3KeyIDAt(Credentials{SecretID: "id", SecretKey: secretKey}, region, now))
	return key.formSignature(base64.StdEncoding.AppendEncode(nil, []byte(policy)))
}

// IsAWSSignatureField is isAWSField.
func IsAWSSignatureField(name []byte) bool { return isAWSField(name) }

// IsAWSSignatureParam is isAWSParam.
func IsAWSSignatureParam(name string) bool { return isAWSParam(name) }
