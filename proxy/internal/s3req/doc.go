// Package s3req determines what an S3 request asks for, and whether COS can do it when the
// request is sent to COS's S3-compatible API.
//
// COS documents that this API is not complete, but not what it ignores. So only operations,
// parameters and header fields that have an equal in the COS documents pass. Everything
// else is an error that names it: COS might take a GET of an unknown sub-resource for a GET
// of the object.
//
// All functions are pure.
package s3req
