// Package cosreq says what an HTTP request means to COS: its target, query, operation
// and hosts, and the header fields that grant rights or name further objects.
//
// Everything here is a function of its arguments. Which of it a client may do is for
// the caller to decide.
package cosreq
