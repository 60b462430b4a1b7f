// Package http1 implements HTTP/1.1 (RFC 9110, RFC 9112) for a proxy: a [Server] for its
// clients and a [Client] for one origin. It knows nothing of COS, signatures or routes.
//
// # Requests
//
// A [Server] runs one goroutine per connection. For each request, it
//
//  1. waits for the first byte (IdleTimeout) and reads the head (HeaderTimeout),
//  2. parses the head and determines the framing of the body; a request that violates a
//     rule goes to Reject as an [Error],
//  3. calls the handler with an [Exchange],
//  4. ends the response, and continues with the next request if the connection persists.
//
// The handler reads [Exchange].Body and writes the response: Start, fields, Send, Write.
// A proxy also calls [Client.Do] with a [Call]. Do
//
//  1. takes an idle connection that has no input, or dials one,
//  2. writes the head and the first part of the body in one system call,
//  3. waits for 100 Continue if the request expects it,
//  4. sends the rest of the body, and
//  5. returns a [Response] when its head was read. The caller reads Body and calls Close,
//     which makes the connection idle again.
//
// All of this runs on the goroutine of the client's connection. There is a second
// goroutine only while a body beyond the first write is being sent, to notice an early
// response, and while a response is slow, to notice a disconnect of the client.
//
// # Guarantees
//
// Parsing is strict: a message has exactly one valid framing, or it is rejected. This
// prevents request smuggling, where two recipients disagree on the end of a request.
//
// A [Head] keeps the bytes, the order and the letter case of its fields.
//
// An incomplete body is never reported as complete. Body.Read returns
// io.ErrUnexpectedEOF, and a response that cannot be completed ends in a reset.
//
// Heads, idle connections and stalled bodies have timeouts. There is no limit on the
// total time of a request, since objects are large.
//
// # Files
//
//	error.go           the rules, the status code of each, the errors of a transfer
//	head.go            start lines and fields: RequestHead, ResponseHead, Limits
//	framing.go         the length of a body, and whether the connection persists
//	syntax.go          the character classes of RFC 9110
//	reader.go          the read buffer of a connection; finds the end of a head
//	body.go            the reader of a body
//	chunked.go         the chunked coding
//	buffers.go         the buffers through which bodies move
//	build.go           the writer of a head
//	stream.go          a connection with deadlines that can be interrupted
//	coalesce.go        several TLS records per system call
//	direct_linux.go    socket reads and writes without the Go scheduler
//	direct_other.go    package net on other systems
//	syscall_linux.go   the system calls of direct_linux.go
//	syscall_unix.go    the same for the race detector and other systems
//	cancel.go          Canceler: ends an exchange from another goroutine
//	server.go          Server: listeners, connections
//	shutdown.go        the end of a server; closes idle connections
//	connlimit.go       the limit on connections; closes idle ones
//	exchange.go        a connection of a Server and its requests
//	response.go        the writer of a response; lingering close
//	client.go          Client and its options
//	call.go            Call and Client.Do
//	sendbody.go        a body that is sent while the response is awaited
//	clientresponse.go  Response
//	pool.go            the connections to the origin and the idle ones
//	idleinput.go       detects idle connections that the origin has closed
//	peek_unix.go       the system call of idleinput.go
//	peek_other.go      nothing on other systems
//	dial.go            opens a connection: HTTP proxy, TLS
//	addresses.go       dials the addresses of a host name
//	sockopt_linux.go   socket options
//	sockopt_other.go   none on other systems
//
// # When not to use it
//
// The package has no HTTP/2, caching, compression, redirects, cookies or upgrades, and a
// Client has one origin. Use net/http for these, and wherever it is fast enough.
package http1
