// Package proxy turns unsigned HTTP requests into signed Tencent COS requests
// and streams both bodies through.
//
// [New] makes an http.Handler from [Options]; each [Route] leads to a bucket. The
// way of a request, a file each:
//
//	guard.go    may this client ask at all: Host (DNS rebinding), Origin, token
//	routes.go   which route, bucket and key the request means
//	coshost.go  the names that COS has for a bucket, all of which lead there
//	service.go  the addresses without a bucket in their name
//	action.go   which COS action that is, and whether the route allows it
//	needs.go    the further actions that ACL and tagging headers need
//	parameters.go which query parameters pass (processing.go)
//	copysource.go what a copy reads, and whether it may
//	otherkeys.go what else names keys, and cannot be held to prefixes
//	s3.go       what S3 clients mean and COS would misunderstand
//	rewrite.go  the outbound request: URL, headers, body length
//	forwarded.go which headers COS gets (via.go)
//	query.go    the query, parsed once: what is signed is what is sent
//	chunked.go  a small body in chunks gets a length
//	admission.go how many at once, and who waits (limits.go)
//	signing.go  the key, the signature
//	deliver.go  the attempts: what is sent again, and when (budget.go)
//	attempt.go  one attempt: dead connections, and what is not about the request (slow.go)
//	upstream.go the connections to COS (dial.go, upstreamconn.go)
//	expect.go   a large body waits until COS has agreed to its header (expectmemory.go)
//	rejected.go which answers blame the key or the clock
//	stall.go    the end of an exchange whose body stands still
//	form.go     form uploads, whose signature stands in the form (formread.go, formsum.go)
//	respond.go  the answer, streamed back with COS's own header names
//	resume.go   a download that breaks off is continued
//	linger.go   the end of a connection whose client is still sending
//	checksum.go CRC-64 of what was stored and what was read (crc64.go)
//	mask.go     the token and the signature that COS repeats are masked
//	oldclient.go HTTP/1.0 on a Unix socket, where a cut response does not show
//	errors.go   answers of the proxy's own, in COS's XML form (xmltext.go)
//	halfclose.go clients that close their side and wait
//	connlimit.go the longest idle connection makes room (descriptors.go)
//	librarylog.go what libraries log, and what errors quote (unquoted.go)
//
// Bodies are not held, but for uploads up to 64 KiB, which are kept to be sent
// again, delete-multiple lists whose keys have to be checked, and the fields of
// forms: an upload moves through one pooled buffer, a download through another. An
// upload that ends early breaks the connection to COS, so that COS never sees a
// complete, shorter object; a download that ends early breaks the connection to
// the client.
//
// [NewServer] and [Listener] make the net/http server that the handler wants:
// with timeouts that suit large bodies, no HTTP/2, and the errors that net/http
// answers by itself translated into COS's XML.
//
// The handler must not be mounted on an http.ServeMux, which redirects paths
// with // or .. in them; both are legal in object keys.
package proxy
