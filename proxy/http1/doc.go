// Package http1 moves HTTP/1.1 messages (RFC 9110, RFC 9112) over connections. It
// knows nothing of COS, of signatures or of routes.
//
// A [Server] reads requests and hands each to a handler as an [Exchange]; a
// [Client] sends requests to one origin. Both work on the goroutine that calls
// them: a proxied request is read, sent, responded to and logged by the goroutine of
// the client's connection. A second goroutine exists only while a body that is
// longer than the first write is being sent, to see an early response, and while a
// response is slow to come, to see a client that leaves.
//
// Reading is strict. A message has one framing, or it is refused with an [Error]
// that names the rule: two readers must not be able to disagree about where a
// request ends. Heads keep the bytes, the order and the spelling of their fields.
// A body that is cut off is never reported as complete.
//
// The files, each with one subject:
//
//	error.go     the rules, and the status of a refusal
//	head.go      start lines and fields: RequestHead, ResponseHead
//	framing.go   how long a body is, whether a connection stays open
//	syntax.go    the character classes of RFC 9110
//	reader.go    the buffer of a connection, and how a head is found in it
//	body.go      the reader of bodies (chunked.go for the chunked coding)
//	build.go     heads to send
//	stream.go    a connection with progress deadlines (coalesce.go for TLS)
//	cancel.go    what ends one side when the other side is gone
//	server.go    Server and its connections (exchange.go, response.go, connlimit.go)
//	client.go    Client and its requests (call.go, sendbody.go, clientresponse.go, pool.go)
//	dial.go      connections to the origin (addresses.go)
//
// The package does not do HTTP/2, caching, compression, redirects or cookies. Use
// net/http for those.
package http1
