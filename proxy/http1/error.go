package http1

import (
	"errors"
	"fmt"
)

// Rule names what a message breaks.
type Rule string

// The rules. The comment gives the clause, and a server's status.
const (
	RuleRequestLine   Rule = "request-line"   // RFC 9112, 3; 400
	RuleStatusLine    Rule = "status-line"    // RFC 9112, 4
	RuleVersion       Rule = "version"        // RFC 9112, 2.3; 505
	RuleLineEnd       Rule = "line-end"       // RFC 9112, 2.2: a bare CR or LF; 400
	RuleFieldName     Rule = "field-name"     // RFC 9112, 5.1: also a blank before the colon; 400
	RuleFieldValue    Rule = "field-value"    // RFC 9110, 5.5: control bytes; 400
	RuleFolding       Rule = "obs-fold"       // RFC 9112, 5.2; 400
	RuleHost          Rule = "host"           // RFC 9112, 3.2: missing, repeated or not a host; 400
	RuleContentLength Rule = "content-length" // RFC 9112, 6.3: repeated, or not a number; 400
	RuleTwoLengths    Rule = "two-lengths"    // RFC 9112, 6.1: Content-Length and Transfer-Encoding; 400
	RuleCoding        Rule = "coding"         // RFC 9112, 6.1: another Transfer-Encoding than chunked; 501
	RuleOldCoding     Rule = "old-coding"     // RFC 9112, 6.1: Transfer-Encoding in HTTP/1.0; 400
	RuleChunk         Rule = "chunk"          // RFC 9112, 7.1; 400
	RuleExpect        Rule = "expect"         // RFC 9110, 10.1.1: not 100-continue; 417
	RuleLineTooLong   Rule = "line-too-long"  // Limits.LineBytes; 414
	RuleHeadTooLarge  Rule = "head-too-large" // Limits.HeadBytes, Limits.Fields; 431
	RuleTimeout       Rule = "timeout"        // the head did not come in time; 408
	RulePlain         Rule = "plain"          // plain HTTP where TLS is spoken; 400
	RuleCut           Rule = "cut"            // the connection ended in the middle of a head; 400
)

// Error is a message that breaks a rule. It is returned by value so that it can be
// compared.
type Error struct {
	// Rule is the broken rule.
	Rule Rule
	// Detail says what was found, in one clause without a full stop. It repeats
	// nothing of the message.
	Detail string
}

// Error returns the rule and the detail.
func (e Error) Error() string { return fmt.Sprintf("http1: %s (%s)", e.Detail, e.Rule) }

// Status is the status with which a server refuses the message.
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

// What ends a transfer besides a broken rule and the errors of package net.
var (
	// ErrClientGone is the cause when the client has reset its connection, or
	// cannot be written to.
	ErrClientGone = errors.New("http1: the client closed the connection")
	// ErrStalled is a body of which too little has moved for StallTimeout.
	ErrStalled = errors.New("http1: the body stalled")
	// ErrServerClosed is the cause when Server.Close ended the exchange, and what
	// Serve returns after Shutdown or Close.
	ErrServerClosed = errors.New("http1: the server was closed")
	// ErrBodyLength is a body that is longer or shorter than its announced length.
	ErrBodyLength = errors.New("http1: the body does not have the announced length")
)
