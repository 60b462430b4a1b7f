// Package signer makes the request signature of Tencent Cloud Object Storage
// (COS, XML API): the Authorization header that begins "q-sign-algorithm=sha1"
// and, with a temporary key, the x-cos-security-token header beside it.
//
//	var s signer.Signer
//	if err := s.Sign(req, creds, time.Now()); err != nil {
//		return err // nothing is signed; do not send req
//	}
//	resp, err := transport.RoundTrip(req)
//
// # The signature, in order
//
// The source is "Request signature" in the COS documentation, API documentation
// part (document 436/7778), read together with auth.go of cos-go-sdk-v5 where
// the document is silent. Every line below ends with one LF, the last one too;
// all hex is lower case.
//
//	KeyTime      = start;end in Unix seconds                (keytime.go)
//	SignKey      = hex(HMAC-SHA1(SecretKey, KeyTime))       (keytime.go)
//	HttpString   = lower(method)                            (canonical.go)
//	               path, decoded once, never normalised
//	               k=v&k=v of every query parameter
//	               k=v&k=v of the signed headers            (headers.go)
//	StringToSign = "sha1"
//	               KeyTime
//	               hex(SHA1(HttpString))
//	Signature    = hex(HMAC-SHA1(SignKey, StringToSign))
//
// SignKey is used as the 40 characters of its hex form, not as 20 bytes. Keys
// of parameters and headers are percent-encoded and then lower-cased, escapes
// included ("X/Y" becomes "x%2fy"); values are percent-encoded with upper-case
// escapes (escape.go). Both lists are sorted by encoded key, then by the value
// before encoding.
//
// # What is signed is what is sent
//
// COS computes the signature anew from the request that it receives, so the
// package signs the request that net/http will write, which is not always the
// one in the struct: header values lose their outer blanks, Content-Length
// comes from Body and ContentLength and never from the header map, Host from
// Request.Host. A request whose written form cannot be told beforehand is an
// error (ErrRequest), because the alternative, a 403 from far away, names no
// cause.
//
// Everything that a bucket in strict-signature mode may demand is signed: host,
// every query parameter, every x-cos-* header, content-length, content-type,
// content-md5 and range. Whatever a hop may rewrite (Transfer-Encoding, Expect,
// User-Agent, Accept-Encoding, Date and the hop-by-hop headers) is not.
//
// Sign last. A header or parameter that changes afterwards breaks the
// signature, and so does a client that rewrites the URL.
//
// # Forms
//
// A browser's form upload (POST Object) is signed in the form: SignForm makes the
// fields policy, q-* and x-cos-security-token, and no header carries anything
// (form.go). The source is "POST Object" in the same documentation. There
// StringToSign is hex(SHA1(policy)), without a line feed, and q-sign-time is a
// condition of the policy instead of a field.
//
// # When not to use it
//
// It does not presign URLs, and it does not sign calls to other Tencent Cloud
// APIs, STS among them, whose signature is TC3-HMAC-SHA256. A program that only
// talks to COS, and does not sign the requests of others, is better served by an
// official SDK.
package signer
