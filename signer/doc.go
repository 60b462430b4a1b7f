// Package signer signs requests to Tencent Cloud Object Storage (COS, XML API). It computes
// the Authorization header that begins with "q-sign-algorithm=sha1". With temporary
// credentials it also signs the session token, the header x-cos-security-token. For programs
// that speak S3 it computes AWS Signature Version 4, which the S3-compatible API of COS accepts.
//
// There are four ways to sign:
//
//   - [Signer.AppendAuthorization] signs a [Head], for a program with its own HTTP client.
//   - [Signer.Sign] signs an *http.Request.
//   - [Signer.SignForm] signs a form upload (POST Object).
//   - [S3Signer.AppendFields] signs an [S3Head] in the dialect of S3.
//
// [Explain] returns the intermediate strings of a signature, to find out why COS rejects one.
//
//	var s signer.Signer
//	if err := s.Sign(req, creds, time.Now()); err != nil {
//		return err // req is not signed; do not send it
//	}
//	resp, err := transport.RoundTrip(req)
//
// # The signature
//
// The source is "Request signature" in the COS API documentation (436/7778). Where it is
// silent, the package follows auth.go of cos-go-sdk-v5. Each line below ends with one LF,
// including the last one. All hex digits are lower case. SignKeys are cached (keycache.go).
//
//	KeyTime      = start;end in Unix seconds                (keytime.go)
//	SignKey      = hex(HMAC-SHA1(SecretKey, KeyTime))       (keytime.go)
//	HttpString   = lower(method)                            (canonical.go)
//	               path, decoded once, never normalized
//	               k=v&k=v of every query parameter
//	               k=v&k=v of the signed headers            (headers.go)
//	StringToSign = "sha1"
//	               KeyTime
//	               hex(SHA1(HttpString))
//	Signature    = hex(HMAC-SHA1(SignKey, StringToSign))
//
// SignKey signs with the 40 characters of its hex form, not with 20 bytes. Keys of parameters
// and headers are percent-encoded and then lower-cased, including the escapes ("X/Y" becomes
// "x%2fy"). Values are percent-encoded with upper-case escapes (escape.go). Both lists are
// sorted by encoded key, then by unencoded value.
//
// # Signed and sent requests are equal
//
// COS computes the signature again from the received request. So the package signs the request
// as net/http will write it, which may differ from the struct: header values lose surrounding
// blanks, Content-Length comes from Body and ContentLength and never from the header map, Host
// from Request.Host. If the written form is not predictable, signing fails with ErrRequest. The
// alternative would be a 403 from COS that does not name the cause.
//
// The signature covers everything that a bucket in strict-signature mode may require: host, all
// query parameters, all x-cos-* headers, content-length, content-type, content-md5 and range. It
// does not cover headers that an intermediary may rewrite: Transfer-Encoding, Expect, User-Agent,
// Accept-Encoding, Date and the hop-by-hop headers.
//
// Sign last. Changing a header or parameter afterwards makes the signature invalid, and so does
// a client that rewrites the URL.
//
// # Forms
//
// The signature of a browser's form upload (POST Object) is in the form: SignForm returns the
// fields policy, q-* and x-cos-security-token, and there are no headers for it (form.go). The
// source is "POST Object" in the same documentation. For forms, StringToSign is
// hex(SHA1(policy)) without a line feed, and q-sign-time is a condition of the policy instead of
// a field.
//
// # The dialect of S3
//
// The source is "Signature Calculations for the Authorization Header" in the Amazon S3 API
// Reference. Lines are joined by one LF, without one at the end. The service is always s3.
//
//	Scope            = day/region/s3/aws4_request                  (s3key.go)
//	SigningKey       = HMAC-SHA256 of each part of Scope in turn,
//	                   from the key "AWS4" + SecretKey
//	CanonicalRequest = method                                      (s3canonical.go)
//	                   path as it is sent                          (s3path.go)
//	                   k=v&k=v of every query parameter
//	                   name:value of the signed headers, one line each
//	                   an empty line
//	                   names of the signed headers, joined by ";"
//	                   x-amz-content-sha256                        (s3.go)
//	StringToSign     = "AWS4-HMAC-SHA256"
//	                   x-amz-date, in UTC
//	                   Scope
//	                   hex(SHA256(CanonicalRequest))
//	Signature        = hex(HMAC-SHA256(SigningKey, StringToSign))
//
// Names and values of parameters are decoded, encoded again as the values of the COS signature,
// and sorted in their encoded form. A "+" in a query is a blank and is signed as %20, as
// aws-sdk-go-v2 does; send %20 or %2B, which have one meaning. Values of headers lose surrounding
// blanks, several spaces become one, and those of repeated headers are joined by commas in their
// order. All x-amz-* headers are signed, the headers of the COS signature, and Date.
//
// The client's own signature must be removed before signing: a request with a part of an AWS
// signature is an error. [SchemeOf] recognizes the dialect of a client by its signature (s3scheme.go), and
// [PresignedValidity] tells when a presigned URL is valid (s3expiry.go). These functions do not
// verify the signature of the client.
//
// # When not to use it
//
// The package does not presign URLs. It does not sign calls to other Tencent Cloud APIs such as
// STS, whose signature is TC3-HMAC-SHA256. A program that only sends its own requests to COS
// should use an official SDK.
package signer
