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
	// stringToSign and formatString come with SignatureDoesNotMatch, so that a
	// client can compare them with its own. All they contain is in the request.
	stringToSign, formatString string
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
	Resource     string
	RequestID    string `xml:"RequestId"`
	TraceID      string `xml:"TraceId"`
}
