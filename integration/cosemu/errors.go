package cosemu

import (
	"encoding/xml"
	"fmt"
	"net/http"
)

// xmlHeader starts every XML response of COS.
const xmlHeader = "<?xml version='1.0' encoding='utf-8' ?>\n"

// cosError is an error response in COS's form.
type cosError struct {
	status  int
	code    string
	message string
	// stringToSign and formatString (canonicalRequest in S3's dialect) come with
	// SignatureDoesNotMatch, so that a client can compare them with its own. All they
	// contain is in the request.
	stringToSign, formatString, canonicalRequest string
}

func (e *cosError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message)
}

func cosErrorf(status int, code, format string, args ...any) *cosError {
	return &cosError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func accessDenied(format string, args ...any) *cosError {
	return cosErrorf(http.StatusForbidden, "AccessDenied", format, args...)
}

func invalidArgument(format string, args ...any) *cosError {
	return cosErrorf(http.StatusBadRequest, "InvalidArgument", format, args...)
}

func unknownSecretID() *cosError {
	return cosErrorf(http.StatusForbidden, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records")
}

func expiredToken() *cosError {
	return cosErrorf(http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
}

func incompleteBody() *cosError {
	return cosErrorf(http.StatusBadRequest, "IncompleteBody",
		"You did not provide the number of bytes specified by the Content-Length HTTP header.")
}

// pathStyleForbidden is the error for a bucket in the path of the service's host (FAQ
// 436/102489, buckets created since 2024).
func pathStyleForbidden() *cosError {
	return cosErrorf(http.StatusForbidden, "PathStyleDomainForbidden",
		"The bucket you are attempting to access must be addressed using COS virtual-styled domain.")
}

func noSuchKey() *cosError {
	return cosErrorf(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
}

func noSuchUpload() *cosError {
	return cosErrorf(http.StatusNotFound, "NoSuchUpload",
		"The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed.")
}

func preconditionFailed() *cosError {
	return cosErrorf(http.StatusPreconditionFailed, "PreconditionFailed", "Precondition Failed")
}

func notImplemented(action string) *cosError {
	return cosErrorf(http.StatusNotImplemented, "NotImplemented", "the emulator does not implement %s", action)
}

// errorBody is the XML of an error response.
type errorBody struct {
	XMLName      xml.Name `xml:"Error"`
	Code         string
	Message      string
	StringToSign string `xml:",omitempty"`
	FormatString string `xml:",omitempty"`
	// CanonicalRequest is what S3 sends in place of FormatString.
	CanonicalRequest string `xml:",omitempty"`
	Resource         string
	RequestID        string `xml:"RequestId"`
	TraceID          string `xml:"TraceId"`
}
