package http1

import (
	"errors"
	"fmt"
)

// Rule names a rule of HTTP/1.1, or a limit, that a message violates.
type Rule string

// The rules. Each comment gives the section of the RFC and the status code that a server
// responds with.
const (
	RuleRequestLine   Rule = "request-line"   // RFC 9112, 3; 400
	RuleStatusLine    Rule = "status-line"    // RFC 9112, 4
	RuleVersion       Rule = "version"        // RFC 9112, 2.3; 505
	RuleLineEnd       Rule = "line-end"       // RFC 9112, 2.2: a bare CR or LF; 400
	RuleFieldName     Rule = "field-name"     // RFC 9112, 5.1: also whitespace before the colon; 400
	RuleFieldValue    Rule = "field-value"    // RFC 9110, 5.5: control characters; 400
	RuleFolding       Rule = "obs-fold"       // RFC 9112, 5.2; 400
	RuleHost          Rule = "host"           // RFC 9112, 3.2: missing, repeated or not a host; 400
	RuleContentLength Rule = "content-length" // RFC 9112, 6.3: different values, or not a number; 400
	RuleTwoLengths    Rule = "two-lengths"    // RFC 9112, 6.1: both Content-Length and Transfer-Encoding; 400
	RuleCoding        Rule = "coding"         // RFC 9112, 6.1: a Transfer-Encoding other than chunked; 501
	RuleOldCoding     Rule = "old-coding"     // RFC 9112, 6.1: Transfer-Encoding in HTTP/1.0; 400
	RuleChunk         Rule = "chunk"          // RFC 9112, 7.1; 400
	RuleExpect        Rule = "expect"         // RFC 9110, 10.1.1: not 100-continue; 417
	RuleLineTooLong   Rule = "line-too-long"  // Limits.LineBytes; 414
	RuleHeadTooLarge  Rule = "head-too-large" // Limits.HeadBytes, Limits.Fields; 431
	RuleTimeout       Rule = "timeout"        // the head did not arrive in time; 408
	RulePlain         Rule = "plain"          // plain HTTP on a TLS listener; 400
	RuleCut           Rule = "cut"            // the connection ended in the middle of a head; 400
)

// Error reports a message that violates a rule. It is a comparable value; functions
// return it as Error, not as *Error.
type Error struct {
	// Rule is the violated rule.
	Rule Rule
	// Detail describes the violation in one clause without a full stop. It quotes
	// nothing of the message, so it contains no secret.
	Detail string
}

// Error returns the detail and the rule.
func (e Error) Error() string { return fmt.Sprintf("http1: %s (%s)", e.Detail, e.Rule) }

// Status is the status code of a server's response to the message.
func (e Error) Status() int {
	switch e.Rule {
	case RuleVersion:
		return 505
	case RuleCoding:
		return 501
	case RuleExpect:
		return 417
	case RuleLineTooLong:
		return 414
	case RuleHeadTooLarge:
		return 431
	case RuleTimeout:
		return 408
	}
	return 400
}

// Errors of a transfer, besides Error and those of package net.
var (
	// ErrClientGone means that the client reset its connection or that a write to it
	// failed. It is the cause of Exchange.Context.
	ErrClientGone = errors.New("http1: the client closed the connection")
	// ErrStalled means that a body made too little progress within StallTimeout.
	ErrStalled = errors.New("http1: the body stalled")
	// ErrServerClosed is the result of Serve after Shutdown or Close, and the cause of
	// Exchange.Context after Close.
	ErrServerClosed = errors.New("http1: the server was closed")
	// ErrBodyLength means that a body is longer or shorter than its Content-Length.
	ErrBodyLength = errors.New("http1: the body does not have the announced length")
)
