package proxy

import (
	"net/http"

	"cosproxy/proxy/internal/coserr"
)

// s3Codes are the S3 error codes for proxy errors whose code S3 does not have (Amazon S3
// API Reference, "Error responses").
var s3Codes = map[string]string{
	"BadGateway":                   "InternalError",
	"ChecksumMismatch":             "InternalError",
	"ExpectationFailed":            "InvalidRequest",
	"GatewayTimeout":               "InternalError",
	"LoopDetected":                 "InvalidRequest",
	"MaxPostPreDataLengthExceeded": "MaxPostPreDataLengthExceededError",
	"MisdirectedRequest":           "NoSuchBucket",
	"RequestHeaderFieldsTooLarge":  "RequestHeaderSectionTooLarge",
}

// errorCode returns the code of a proxy error in the dialect of the request.
func (r *request) errorCode(e *coserr.Error) string {
	if code, ok := s3Codes[e.Code]; ok && r.dialect == dialectS3 {
		return code
	}
	return e.Code
}

// adaptStatus sets the status that S3 documents for PutObjectTagging, 200, where COS responds
// with 204. minio-go takes 204 for an error.
func (r *request) adaptStatus(resp *response) {
	if r.dialect == dialectS3 && r.method == http.MethodPut && resp.Status == http.StatusNoContent && r.query.Has("tagging") && resp.isEmpty() {
		resp.Status, resp.Reason = http.StatusOK, []byte("OK")
	}
}
