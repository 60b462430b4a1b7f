package proxy

import (
	"math"
	"net/http"
	"strings"
	"time"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
	"cosproxy/proxy/internal/postpolicy"
	"cosproxy/proxy/internal/s3req"
	"cosproxy/signer"
)

// s3Form is what a form in the dialect of S3 says about its fields and its file.
type s3Form struct {
	fields []postpolicy.Field // all fields of the client
	policy *postpolicy.Policy // nil: the form has none
	sums   []*digest.Sum      // of the file
	size   int64              // of the file, as far as it was read
}

// newS3Form returns the form and those of its fields that are sent to COS.
func newS3Form(all []signer.FormField) (s *s3Form, sent []signer.FormField, err error) {
	s = &s3Form{}
	seen := map[string]bool{}
	for _, f := range all {
		name := strings.ToLower(f.Name)
		if seen[name] {
			return nil, nil, repeatedFieldError(f.Name)
		}
		seen[name] = true
		s.fields = append(s.fields, postpolicy.Field(f))
		forward, err := s.add(name, f.Value)
		if err != nil {
			return nil, nil, err
		}
		if forward {
			sent = append(sent, f)
		}
	}
	return s, sent, nil
}

// add applies the rules for a field, and reports whether it is sent to COS. name is in lower
// case. The rules are those for header fields.
func (s *s3Form) add(name, value string) (forward bool, err error) {
	switch {
	case strings.HasPrefix(name, "x-cos-"), strings.HasPrefix(name, "x-ci-"), name == picOperationsField:
		return false, coserr.New(http.StatusBadRequest, "InvalidRequest",
			"The S3 form has the COS field %s. Remove the field, or send the form without an AWS signature to the host of the bucket.", coserr.Truncate(name))
	case name == "policy":
		s.policy, err = postpolicy.Parse(value)
		return false, err
	case name == "if-match", name == "if-none-match", strings.HasPrefix(name, s3req.CopySource):
		return false, missingFieldError(name)
	case name != "key" && strings.Contains(value, "${filename}"):
		return false, coserr.New(http.StatusNotImplemented, "NotImplemented",
			"The form field %s contains ${filename}, which is only replaced in key. Send its final value.", coserr.Truncate(name))
	case isSignatureField(name), strings.HasPrefix(name, postpolicy.IgnorePrefix):
		return false, nil
	case strings.HasPrefix(name, s3req.ChecksumPrefix) && digest.New(name) != nil:
		sum := digest.New(name)
		s.sums = append(s.sums, sum)
		return false, sum.Expect(value)
	case !strings.HasPrefix(name, s3req.Prefix):
		return true, nil
	}
	use := s3req.FieldUse([]byte(name))
	if use == s3req.Missing {
		return false, missingFieldError(name)
	}
	return use == s3req.Forward, s3req.CheckValue([]byte(name), []byte(value))
}

// missingFieldError is s3req.MissingFieldError for a field of a form.
func missingFieldError(name string) error {
	return coserr.New(http.StatusNotImplemented, "NotImplemented",
		"COS does not document the form field %s, and may ignore it. Remove the field, and its condition from the policy.", coserr.Truncate(name))
}

// check enforces the client's policy. key is the object key of the client, with variables
// replaced, against which S3 checks conditions.
func (s *s3Form) check(key, bucket string, now time.Time) error {
	for i, f := range s.fields {
		switch strings.ToLower(f.Name) {
		case "key":
			s.fields[i].Value = key
		case "bucket":
			if f.Value != bucket {
				return coserr.New(http.StatusForbidden, "AccessDenied",
					"The form is for bucket %q, but its URL leads to bucket %s. Send it to the URL of its bucket.", coserr.Truncate(f.Value), bucket)
			}
		}
	}
	if s.policy == nil {
		return nil
	}
	return s.policy.Check(s.fields, bucket, now)
}

// limit returns the limit of the file's size for the policy that is sent to COS; nil if
// there is none.
func (s *s3Form) limit() *signer.SizeRange {
	if s.policy == nil || !s.policy.Limits() {
		return nil
	}
	return &signer.SizeRange{Min: s.policy.MinSize, Max: s.policy.MaxSize}
}

// addFile adds bytes of the file to its size and checksums.
func (s *s3Form) addFile(p []byte) {
	s.size += int64(len(p))
	for _, sum := range s.sums {
		_, _ = sum.Write(p)
	}
}

// checkFile checks the part of the file that was read. ended reports whether that is all
// of it.
func (s *s3Form) checkFile(ended bool) error {
	minSize, maxSize := int64(0), int64(math.MaxInt64)
	if s.policy != nil {
		minSize, maxSize = s.policy.MinSize, s.policy.MaxSize
	}
	switch {
	case s.size > maxSize:
		return coserr.New(http.StatusBadRequest, "EntityTooLarge",
			"The file is larger than %d bytes, the maximum in the policy of the form; nothing was stored. Send a smaller file.", maxSize)
	case ended && s.size < minSize:
		return coserr.New(http.StatusBadRequest, "EntityTooSmall",
			"The file has %d bytes, and the minimum in the policy of the form is %d; nothing was stored. Send a larger file.", s.size, minSize)
	case !ended:
		return nil
	}
	for _, sum := range s.sums {
		if err := sum.Check(); err != nil {
			return err
		}
	}
	return nil
}
