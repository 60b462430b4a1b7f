// Package proxy turns unsigned HTTP requests into signed Tencent COS requests
// and streams request and response bodies.
//
// [New] makes a [Proxy] from [Options]. Each [Route] leads to one bucket; [Upstream]
// says how COS is reached. [Proxy.NewServer] makes the server that accepts connections.
// Do not use the package to call COS from a Go program: the official SDK signs requests
// too and needs no proxy.
//
// # Steps of a request
//
// Proxy.serve runs these steps in this order. Each step takes values and returns
// values; after signing, nothing changes the request.
//
//	proxy.go       the steps, and the response to a request that fails
//	request.go     parse: method, target, query and host, as a value
//	via.go         reject requests that this proxy has sent (loops)
//	dialect.go     the API that the request uses, COS's or S3's, and the rules of S3
//	presigned.go   presigned URLs of S3: their time, parameters that stand for header fields
//	unsigned.go    the API of a request without a signature, by its routes
//	router.go      host and path to candidate routes (service.go: GET Service)
//	pathstyle.go   the same for S3 requests with the bucket in the path
//	candidate.go   the operation that the request means on one route
//	route.go       Route, and the actions and object keys it allows (setting.go)
//	copysource.go  the source object of a copy
//	authorize.go   the first candidate that allows everything (keyfields.go)
//	admission.go   body memory, concurrency slots, the queue (limits.go)
//	body.go        the part of a body that is read before sending (upload.go)
//	s3body.go      bodies of S3 requests: decode chunks, verify checksums
//	deletelist.go  bodies that list object keys to delete
//	form.go        bodies that are form uploads (formdialect.go, forms3.go)
//	outbound.go    the request header for COS (forwarded.go, fieldnames.go)
//	idempotent.go  whether COS may receive the request twice
//	send.go        attempts: sign, send, retry (budget.go)
//	wire.go        the bytes of one attempt
//	upstream.go    connections to COS (expectstate.go)
//	failover.go    attempts at the other host of the bucket (spare.go)
//	credentials.go the interface of a credential source
//	rejected.go    recovery after COS rejected the credentials or the clock
//	response.go    a response from COS
//	mask.go        mask secrets that COS echoes in a response
//	download.go    resume an interrupted download
//	checksum.go    compare CRC-64 values of uploads and downloads
//	respond.go     stream the response to the client
//	failure.go     map failures to error responses (clienterror.go)
//	proxyerror.go  write a proxy error in COS's XML form
//	s3error.go     its code in an S3 response
//	result.go      the result of a request, logged and counted (accesslog.go, metrics.go)
//	scratch.go     per-request memory, reused
//	server.go      the server, and requests that violate HTTP
//
// # Other packages
//
// http1 reads and writes HTTP/1.1 messages. guard checks Host, Origin and the client
// token. internal/coserr has errors in COS's form, internal/cosreq the meaning of
// requests to COS, internal/formdata form uploads, internal/postpolicy their
// policies, internal/crc64 the CRC-64 checksums,
// internal/s3req what S3 requests ask for, internal/digest the verification of the checksums
// of S3 clients, internal/awschunked the coding of their bodies.
//
// # Bodies
//
// Bodies are streamed. Only uploads up to 64 KiB (so that they can be retried), lists
// of object keys to delete, and form fields are buffered. If an upload is interrupted,
// the proxy breaks the connection to COS, so that COS never receives a complete,
// shorter object. If a download is interrupted and cannot be resumed, the proxy breaks
// the connection to the client.
package proxy
