// Package cosreq determines what an HTTP request means to COS: its target, query, operation
// and hosts, and the header fields that set permissions or name further objects.
//
// All functions are pure. The caller decides what a client is allowed to do.
package cosreq
