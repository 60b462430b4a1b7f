package proxy

import (
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// checkS3 refuses what an S3 client means and COS would not understand under a
// signature of its own scheme: a body in signed chunks would be stored with the
// signatures in it, and a copy would become an empty object, or one that the
// route has not been asked about.
func checkS3(req *request) error {
	for _, f := range req.head.Fields {
		switch {
		case http1.EqualFold(f.Name, "Content-Encoding") && strings.Contains(strings.ToLower(string(f.Value)), "aws-chunked"):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"Bodies in the encoding aws-chunked would be stored as they are. Turn chunked signing and trailing checksums off in the S3 client.")
		case http1.EqualFold(f.Name, "x-amz-content-sha256") && strings.HasPrefix(string(f.Value), "STREAMING-"):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"A body signed in chunks (x-amz-content-sha256: STREAMING-…) would be stored with its signatures. Turn chunked signing off in the S3 client.")
		case http1.EqualFold(f.Name, "x-amz-copy-source"):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"cosproxy does not translate x-amz-copy-source. Name the source in x-cos-copy-source: <bucket>.cos.<region>.myqcloud.com/<key>.")
		}
	}
	return nil
}
