// Package proxy turns unsigned HTTP requests into signed Tencent COS requests
// and streams both bodies.
//
// [New] makes a [Proxy] from [Options]; each [Route] leads to a bucket, over the way
// that [Upstream] says. [Proxy.NewServer] makes the server that accepts connections.
//
// The way of a request, in the order of its steps (Proxy.serve):
//
//	proxy.go       the steps, and the response to a request that fails
//	request.go     parse: what the client asked for, a value
//	via.go         requests that come back to the proxy that sent them
//	s3.go          what S3 clients mean and COS would misunderstand
//	router.go      which routes the request may mean (service.go)
//	candidate.go   what it means on one of them
//	route.go       the routes, and the actions and keys that they allow (setting.go)
//	copysource.go  the object that a copy reads
//	authorize.go   the first candidate that allows everything (keyfields.go)
//	admission.go   memory for bodies, slots, the queue (limits.go)
//	body.go        what is read of a body before the request is sent (upload.go)
//	deletelist.go  a body that lists keys to delete
//	form.go        a body that is a form upload
//	outbound.go    the head for COS (forwarded.go, fieldnames.go)
//	idempotent.go  whether COS may get the request twice
//	send.go        the attempts: sign, send, retry (budget.go)
//	wire.go        the bytes of one attempt
//	upstream.go    the connections to COS (expectstate.go)
//	credentials.go the interface of the source of credentials
//	rejected.go    responses that blame the credentials or the clock
//	response.go    a response of COS
//	mask.go        secrets that COS repeats in a response
//	download.go    a download that breaks off is continued
//	checksum.go    the CRC-64 of what was stored and what was read
//	respond.go     the response, streamed to the client
//	failure.go     what a failure means for the client (clienterror.go)
//	proxyerror.go  an error of the proxy, in COS's form
//	result.go      the result of a request, logged and counted (accesslog.go, metrics.go)
//	scratch.go     the memory of a request, used again
//	server.go      the server, and requests that break a rule of HTTP
//
// Packages apart: http1 moves messages, guard decides which clients may ask, and below
// internal, coserr has errors in COS's form, cosreq the meaning of requests, formdata
// forms, crc64 the checksum.
//
// Bodies are not held, except for uploads up to 64 KiB, which are kept to be sent
// again, lists of keys to delete, and the fields of forms. An upload that ends early
// breaks the connection to COS, so that COS never sees a complete, shorter object; a
// download that ends early breaks the connection to the client.
package proxy
