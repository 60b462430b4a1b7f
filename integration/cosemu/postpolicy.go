package cosemu

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// postPolicy is the signed policy of a form.
type postPolicy struct {
	Expiration *time.Time        `json:"expiration"`
	Conditions []json.RawMessage `json:"conditions"`
}

// postCondition is one condition on a field; name has no "$".
type postCondition struct{ operator, name, value string }

func (c postCondition) matches(value string) bool {
	if c.operator == "starts-with" {
		return strings.HasPrefix(value, c.value)
	}
	return value == c.value
}

// authenticateForm verifies the signature of a form and checks the form against its
// policy.
func (x *exchange) authenticateForm(f *postForm, bucket string) error {
	x.secretID = f.get("q-ak")
	if f.get("policy") == "" || f.get("q-signature") == "" || x.secretID == "" {
		return accessDenied("Access Denied.")
	}
	if f.get("q-sign-algorithm") != "sha1" {
		return accessDenied("q-sign-algorithm must be sha1")
	}
	creds := x.s.credentials.get(x.secretID)
	if creds == nil {
		return unknownSecretID()
	}
	if err := checkWindow(f.get("q-key-time"), x.now); err != nil {
		return err
	}
	policy, err := base64.StdEncoding.DecodeString(f.get("policy"))
	if err != nil {
		return invalidPolicy("it is not base64")
	}
	digest := sha1.Sum(policy)
	want := hmacSHA1(signKey(creds.SecretKey, f.get("q-key-time")), hex.EncodeToString(digest[:]))
	if subtle.ConstantTimeCompare([]byte(want), []byte(f.get("q-signature"))) != 1 {
		return cosErrorf(http.StatusForbidden, "SignatureDoesNotMatch", "The Signature you specified is invalid.")
	}
	if subtle.ConstantTimeCompare([]byte(f.get("x-cos-security-token")), []byte(creds.Token)) != 1 {
		return accessDenied("x-cos-security-token is not the one that was issued with this SecretId")
	}
	if creds.expired(x.now) {
		return expiredToken()
	}
	x.rights = creds.rights
	return x.checkPostPolicy(f, policy, bucket)
}

func invalidPolicy(why string) *cosError {
	return cosErrorf(http.StatusBadRequest, "InvalidPolicyDocument", "The content of the form does not meet the conditions specified in the policy document: %s.", why)
}

// checkPostPolicy requires that every condition holds, and that the policy has the
// conditions that bind it to its signature.
func (x *exchange) checkPostPolicy(f *postForm, text []byte, bucket string) error {
	conditions, err := f.parsePostPolicy(text, x.now)
	if err != nil {
		return err
	}
	missing := map[string]bool{"q-sign-algorithm": true, "q-ak": true, "q-sign-time": true}
	for _, c := range conditions {
		value, present := f.get(c.name), f.fields.has(c.name)
		switch c.name {
		case "bucket":
			value, present = bucket, true
		case "q-sign-time": // the field has another name
			value, present = f.get("q-key-time"), true
		}
		if c.operator == "eq" {
			delete(missing, c.name)
		}
		if !present || !c.matches(value) {
			return accessDenied("Condition key %s doesn't match the value %s", c.name, c.value)
		}
	}
	if len(missing) > 0 {
		return accessDenied("the policy has no condition for %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return nil
}

// parsePostPolicy returns the conditions on fields, and stores those on the length of
// the file in f.
func (f *postForm) parsePostPolicy(text []byte, now time.Time) ([]postCondition, error) {
	var p postPolicy
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, invalidPolicy(err.Error())
	}
	if p.Expiration == nil || p.Conditions == nil {
		return nil, invalidPolicy("it has no expiration, or no conditions")
	}
	if !now.Before(*p.Expiration) {
		return nil, accessDenied("You post object request has been expired")
	}
	var list []postCondition
	for _, raw := range p.Conditions {
		pairs := map[string]string{}
		if json.Unmarshal(raw, &pairs) == nil {
			for name, value := range pairs {
				list = append(list, postCondition{"eq", name, value})
			}
			continue
		}
		if limits, ok := parseLengthRange(raw); ok {
			f.lengthRanges = append(f.lengthRanges, limits)
			continue
		}
		var c []string
		err := json.Unmarshal(raw, &c)
		if err != nil || len(c) != 3 || c[0] != "eq" && c[0] != "starts-with" || !strings.HasPrefix(c[1], "$") {
			return nil, invalidPolicy("no condition is " + string(raw))
		}
		list = append(list, postCondition{c[0], c[1][1:], c[2]})
	}
	return list, nil
}

// parseLengthRange parses a condition on the length of the file.
func parseLengthRange(raw json.RawMessage) (limits [2]int64, ok bool) {
	var parts []json.RawMessage
	if json.Unmarshal(raw, &parts) != nil || len(parts) != 3 || string(parts[0]) != `"content-length-range"` {
		return limits, false
	}
	return limits, json.Unmarshal(parts[1], &limits[0]) == nil && json.Unmarshal(parts[2], &limits[1]) == nil
}

func (f *postForm) checkFileLength(size int64) error {
	for _, limits := range f.lengthRanges {
		switch {
		case size < limits[0]:
			return cosErrorf(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
		case size > limits[1]:
			return cosErrorf(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
		}
	}
	return nil
}
