package proxy

import (
	"net/http"
	"strings"
)

// checkS3 refuses what an S3 client means and COS would not understand under a
// signature of its own scheme: a body in signed chunks would be stored with the
// signatures in it, and a copy would become an empty object, or one that the
// route has not been asked about.
func checkS3(h http.Header) error {
	for _, coding := range h["Content-Encoding"] {
		if strings.Contains(strings.ToLower(coding), "aws-chunked") {
			return errorf(http.StatusNotImplemented, "NotImplemented",
				"Bodies in the encoding aws-chunked would be stored as they are. Turn chunked signing and trailing checksums off in the S3 client.")
		}
	}
	if strings.HasPrefix(h.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return errorf(http.StatusNotImplemented, "NotImplemented",
			"A body signed in chunks (x-amz-content-sha256: STREAMING-…) would be stored with its signatures. Turn chunked signing off in the S3 client.")
	}
	if h["X-Amz-Copy-Source"] != nil {
		return errorf(http.StatusNotImplemented, "NotImplemented",
			"cosproxy does not translate x-amz-copy-source. Name the source in x-cos-copy-source: <bucket>.cos.<region>.myqcloud.com/<key>.")
	}
	return nil
}
