package signer

import (
	"net/url"
	"strings"
)

// amzDateFormat is the format of X-Amz-Date, always in UTC.
const amzDateFormat = "20060102T150405Z"

// Scheme is the way in which a client signed its request.
type Scheme int

// The schemes. Any other Authorization, for example Basic, is NoSignature.
const (
	NoSignature Scheme = iota
	// COSSignature is the signature of COS, in Authorization or in a presigned URL.
	COSSignature
	// AWSSignatureV4 is AWS Signature Version 4, in Authorization or in a presigned URL.
	AWSSignatureV4
	// AWSSignatureV2 is AWS Signature Version 2, in Authorization or in a presigned URL.
	AWSSignatureV2
)

// IsS3 reports whether the client speaks the dialect of S3.
func (s Scheme) IsS3() bool { return s == AWSSignatureV4 || s == AWSSignatureV2 }

// SchemeOf returns the scheme of a request by its Authorization field, if that has one, and
// otherwise by the first parameter of a presigned URL. Both may be empty. It does not verify the
// signature.
func SchemeOf(authorization []byte, rawQuery string) Scheme {
	switch {
	case hasPrefixFold(authorization, "aws4-"): // AWS4-HMAC-SHA256, AWS4-ECDSA-P256-SHA256
		return AWSSignatureV4
	case hasPrefixFold(authorization, "aws "):
		return AWSSignatureV2
	case hasPrefixFold(authorization, "q-sign-algorithm="):
		return COSSignature
	}
	for rawQuery != "" {
		var name string
		name, _, rawQuery = cutParam(rawQuery)
		if s := schemeOfParam(name); s != NoSignature {
			return s
		}
	}
	return NoSignature
}

// HasOtherScheme reports whether a query has parameters of a scheme other than scheme. Reject
// such a request: another server may read it differently.
func HasOtherScheme(rawQuery string, scheme Scheme) bool {
	for rawQuery != "" {
		var name string
		name, _, rawQuery = cutParam(rawQuery)
		if s := schemeOfParam(name); s != NoSignature && s != scheme {
			return true
		}
	}
	return false
}

func schemeOfParam(name string) Scheme {
	switch {
	case equalFold(name, "x-amz-signature"), equalFold(name, "x-amz-algorithm"):
		return AWSSignatureV4
	case equalFold(name, "awsaccesskeyid"):
		return AWSSignatureV2
	case equalFold(name, "q-signature"), equalFold(name, "q-sign-algorithm"):
		return COSSignature
	}
	return NoSignature
}

// awsSignatureNames are the names, in lower case, of the header fields or query parameters of
// Signature Version 4.
var awsSignatureNames = []string{
	"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
	"x-amz-signature", "x-amz-security-token", "x-amz-content-sha256",
}

// isAWSField reports whether a header field, in any case, is part of an AWS signature. Date is
// not: it only tells the time.
func isAWSField[T string | []byte](name T) bool {
	return isOneOf(name, awsSignatureNames) || equalFold(name, "authorization")
}

// isAWSParam reports whether a query parameter, decoded and in any case, is part of a presigned
// URL.
func isAWSParam[T string | []byte](name T) bool {
	return isOneOf(name, awsSignatureNames) ||
		equalFold(name, "awsaccesskeyid") || equalFold(name, "signature") || equalFold(name, "expires")
}

func isOneOf[T string | []byte](name T, lowered []string) bool {
	for _, l := range lowered {
		if equalFold(name, l) {
			return true
		}
	}
	return false
}

// equalFold reports whether the lower-cased name is lowered.
func equalFold[T string | []byte](name T, lowered string) bool {
	return len(name) == len(lowered) && hasPrefixFold(name, lowered)
}

// hasPrefixFold reports whether the lower-cased s begins with prefix.
func hasPrefixFold[T string | []byte](s T, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(s[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// cutParam returns the first parameter of a raw query, with a decoded name and a raw value, and
// the rest of the query. A name with an invalid escape is raw. It allocates only for names with
// an escape.
func cutParam(rawQuery string) (name, value, rest string) {
	parameter, rest, _ := strings.Cut(rawQuery, "&")
	name, value, _ = strings.Cut(parameter, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	return name, value, rest
}
