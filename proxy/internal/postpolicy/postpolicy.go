// Package postpolicy parses and enforces the policy of an S3 form upload (Amazon S3 API
// Reference, "POST policy"). The client that made the form has limited its use: cosproxy
// signs the form again, so it has to enforce these limits itself.
//
// Whatever the package does not know is an error: a condition that is skipped would not be
// enforced.
//
// All functions are pure.
package postpolicy

import (
	"encoding/base64"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"cosproxy/proxy/internal/coserr"
)

// Policy is a parsed policy. The zero value has expired and has no conditions.
type Policy struct {
	// Expiration is the time from which the policy is invalid.
	Expiration time.Time
	// MinSize and MaxSize are the limits of the size of the file, in bytes, both inclusive:
	// those of content-length-range, else 0 and math.MaxInt64.
	MinSize, MaxSize int64

	conditions []condition
}

// condition is a condition on a field.
type condition struct {
	operator operator
	name     string // in lower case, without $
	value    string
}

type operator string

const (
	equal      operator = "eq"
	startsWith operator = "starts-with"
)

// Field is a field of a form.
type Field struct{ Name, Value string }

// Parse parses the value of the form field policy: base64 of a JSON document. The error is
// 400 InvalidPolicyDocument.
func Parse(value string) (*Policy, error) {
	text, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, invalid("it is not base64")
	}
	return parse(text)
}

// Limits reports whether the policy limits the size of the file.
func (p *Policy) Limits() bool { return p.MinSize > 0 || p.MaxSize < math.MaxInt64 }

// Check returns 403 AccessDenied if the policy has expired at now, if one of its conditions
// does not hold, or if a field has no condition. fields are all fields of the form except
// for the file, with variables replaced; no name may occur twice. bucket is the bucket to
// which the form is sent.
func (p *Policy) Check(fields []Field, bucket string, now time.Time) error {
	if !now.Before(p.Expiration) {
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"Invalid according to Policy: Policy expired. It was valid until %s. Make a new form.", p.Expiration.UTC().Format(time.RFC3339))
	}
	for _, c := range p.conditions {
		if !c.holds(fields, bucket) {
			return coserr.New(http.StatusForbidden, "AccessDenied",
				"Invalid according to Policy: Policy Condition failed: %s $%s. Send the form field %[2]s as the policy requires, or make a form with another policy.",
				c.operator, coserr.Truncate(c.name))
		}
	}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if needsNoCondition(name) || slices.ContainsFunc(p.conditions, func(c condition) bool { return c.name == name }) {
			continue
		}
		return coserr.New(http.StatusForbidden, "AccessDenied",
			"Invalid according to Policy: Extra input fields: %s. Remove the form field, or make a form whose policy has a condition for it.", coserr.Truncate(f.Name))
	}
	return nil
}

// IgnorePrefix begins the names, in lower case, of fields that S3 ignores.
const IgnorePrefix = "x-ignore-"

// needsNoCondition reports whether a field, in lower case, may be in a form although its
// policy has no condition for it: the policy itself and the fields of a signature that are
// made after it.
func needsNoCondition(name string) bool {
	switch name {
	case "policy", "x-amz-signature", "signature", "awsaccesskeyid":
		return true
	}
	return strings.HasPrefix(name, IgnorePrefix)
}

// holds reports whether a form meets the condition. A field that is missing meets none.
func (c condition) holds(fields []Field, bucket string) bool {
	if c.name == "bucket" && !c.matches(bucket) {
		return false
	}
	i := slices.IndexFunc(fields, func(f Field) bool { return strings.EqualFold(f.Name, c.name) })
	if i < 0 {
		return c.name == "bucket"
	}
	return c.matches(fields[i].Value)
}

// matches compares one value. A Content-Type is a list if its condition is a prefix.
func (c condition) matches(value string) bool {
	if c.operator == equal {
		return value == c.value
	}
	if c.name != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	for kind := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(kind, c.value) {
			return false
		}
	}
	return true
}

func invalid(format string, args ...any) error {
	e := coserr.New(http.StatusBadRequest, "InvalidPolicyDocument", format, args...)
	e.Message = "The policy of the form is not valid: " + e.Message + ". Make a form with a valid policy."
	return e
}
