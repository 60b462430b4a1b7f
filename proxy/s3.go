package proxy

import (
	"net/http"
	"strings"

	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
)

// checkS3 rejects S3 features that COS does not support with its own kind of signature. It
// would store a body in signed chunks together with the chunk signatures. A copy would
// store an empty object, or read a source that the route was not checked for.
func checkS3(req *request) error {
	for _, f := range req.head.Fields {
		switch {
		case http1.EqualFold(f.Name, "Content-Encoding") && strings.Contains(strings.ToLower(string(f.Value)), "aws-chunked"):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"COS does not decode bodies with Content-Encoding aws-chunked. Turn off chunked signing and trailing checksums in the S3 client.")
		case http1.EqualFold(f.Name, "x-amz-content-sha256") && strings.HasPrefix(string(f.Value), "STREAMING-"):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"COS does not decode bodies signed in chunks (x-amz-content-sha256: STREAMING-…). Turn off chunked signing in the S3 client.")
		case http1.EqualFold(f.Name, "x-amz-copy-source"):
			return coserr.New(http.StatusNotImplemented, "NotImplemented",
				"cosproxy does not support x-amz-copy-source. Send the source as x-cos-copy-source: <bucket>.cos.<region>.myqcloud.com/<key>.")
		}
	}
	return nil
}
