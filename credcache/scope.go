package credcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	sts "github.com/tencentyun/qcloud-cos-sts-sdk/go"
)

// Scope is what a key may touch and do. Order and repetition of prefixes and
// actions do not matter: scopes that grant the same share one key.
type Scope struct {
	// Bucket with its APPID: examplebucket-1250000000. Required.
	Bucket string
	// Region of the bucket: ap-beijing. Required.
	Region string
	// AllowPrefixes are the object keys: "uploads/*" for all that begin with
	// "uploads/", "a.txt" for this one, "*" for the whole bucket. At least one;
	// nothing is open by default.
	AllowPrefixes []string
	// AllowActions in the words of ExpandActions. At least one.
	AllowActions []string
}

var (
	// "Bucket Overview", Naming Conventions: lower-case letters, digits and
	// hyphens, then the APPID. APPIDs have ten digits today; six lets old ones
	// pass and stops a name like reports-2024.
	bucketForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9]{6,}$`)
	regionForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// Validate reports everything that is wrong with s, as joined *OptionErrors.
func (s Scope) Validate() error {
	var bucket, region []string
	if !bucketForm.MatchString(s.Bucket) {
		bucket = append(bucket, fmt.Sprintf("%q is not a bucket name with its APPID; write it as in the console: examplebucket-1250000000", s.Bucket))
	}
	if !regionForm.MatchString(s.Region) {
		region = append(region, fmt.Sprintf("%q is not a region; write its short name, such as ap-beijing", s.Region))
	}
	_, unknown := expand(s.AllowActions)
	if len(s.AllowActions) == 0 {
		unknown = append(unknown, "none given; write what the key may do, such as read,list or upload")
	}
	return errors.Join(
		joinMistakes("Bucket", bucket), joinMistakes("Region", region),
		joinMistakes("AllowPrefixes", prefixMistakes(s.AllowPrefixes)), joinMistakes("AllowActions", unknown))
}

func prefixMistakes(prefixes []string) []string {
	var mistakes []string
	for _, p := range prefixes {
		if m := prefixMistake(p); m != "" {
			mistakes = append(mistakes, m)
		}
	}
	if len(prefixes) == 0 {
		mistakes = append(mistakes, "none given; write the keys that may be touched, such as uploads/*, or * for the whole bucket")
	}
	return mistakes
}

func prefixMistake(p string) string {
	// The STS SDK sends the policy through url.QueryEscape, which turns a space
	// into "+"; whether STS reads that back as a space is not documented.
	unsafe := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	switch {
	case p == "":
		return "an empty prefix; write * for the whole bucket"
	case !utf8.ValidString(p):
		return fmt.Sprintf("%q is not UTF-8, as object keys are", p)
	case strings.ContainsFunc(p, unsafe):
		return fmt.Sprintf("%q has a blank or a control character, which an STS policy cannot carry; end the prefix before it with *", p)
	case strings.HasPrefix(p, "/"):
		return fmt.Sprintf("%q begins with a slash, which object keys do not; write %q", p, strings.TrimLeft(p, "/"))
	case strings.Contains(p[:len(p)-1], "*"):
		return fmt.Sprintf("%q has a * before its end; only the last character may be one", p)
	case strings.HasSuffix(p, "/"):
		return fmt.Sprintf("%q means that one key and nothing below it; write %q", p, p+"*")
	}
	return ""
}

// joinMistakes makes *OptionErrors of the mistakes in one field.
func joinMistakes(field string, mistakes []string) error {
	var all []error
	for _, m := range mistakes {
		all = append(all, &OptionError{Field: field, Problem: m})
	}
	return errors.Join(all...)
}

// maxPolicy is the length of a policy in characters, as JSON ("Limits" of CAM).
const maxPolicy = 6144

// Policy compiles s to the CAM policy that grants it and nothing else: the
// least that the documented resources and conditions can say. It is the same
// for equal scopes. The error is that of Validate, or an *OptionError with the
// Field "AllowPrefixes" if the policy is longer than CAM takes, 6144 characters of
// JSON. Sources that send no policy do not mind.
//
//   - Object calls are bound to the keys by the resource.
//   - Listings are bound by the condition cos:prefix: COS refuses to list
//     without a prefix, or with one outside the scope. Where the prefixes are
//     single keys only, nothing can be listed.
//   - Uploads that make the object public by x-cos-acl, which COS judges as
//     uploads, are denied unless PutObjectACL is among the actions; PutBucket
//     and PutBucketACL likewise. Grants, tags and the form field acl are not
//     documented as conditions, so no policy can deny them.
//   - Calls on the bucket as such cannot be bound to a prefix, and the list of
//     the account's buckets, GetService, to none of them: it has a statement of
//     its own on the resource *.
//   - "*" as action covers the object calls and listings of the prefixes, and
//     calls on the bucket, and GetService, only where "*" is the prefix as well.
//
// The condition's form is that of "Conditions" (436/46205): string_like with a
// trailing *, the value percent-encoded as in the request's query. Only that
// document speaks for the encoding, so the plain value is named as well, unless
// that makes the policy too long.
func (s Scope) Policy() (*sts.CredentialPolicy, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s = s.canonical()
	policy := s.compile(s.listable(true))
	if s.checkLength(policy) != nil {
		policy = s.compile(s.listable(false))
	}
	return policy, s.checkLength(policy)
}

// compile makes the policy of a canonical scope, with these values of cos:prefix.
func (s Scope) compile(listable []string) *sts.CredentialPolicy {
	grouped := make(map[level][]string)
	for _, a := range s.AllowActions {
		grouped[actions[a]] = append(grouped[actions[a]], a)
	}
	whole := s.AllowPrefixes[0] == "*"
	if all := grouped[0]; all != nil { // anyAction, the only one without a level
		grouped[onObject] = all
		if !whole {
			grouped[onListing] = named("GetBucket GetBucketObjectVersions ListMultipartUploads")
		} else {
			grouped[onService] = named("GetService")
		}
	}

	policy := &sts.CredentialPolicy{Version: "2.0"}
	allowOn := func(resources, actions []string, condition map[string]map[string]any) {
		if len(actions) > 0 {
			policy.Statement = append(policy.Statement, sts.CredentialPolicyStatement{
				Action: actions, Effect: "allow", Resource: resources, Condition: condition,
			})
		}
	}
	allow := func(actions []string, condition map[string]map[string]any, paths ...string) {
		allowOn(s.resources(paths), actions, condition)
	}
	allow(grouped[onObject], nil, s.AllowPrefixes...)
	// The guide's examples use <bucket>/ for bucket calls and <bucket>/* for
	// listings under a condition.
	if whole {
		allow(grouped[onListing], nil, "", "*")
	} else if len(listable) > 0 {
		allow(grouped[onListing], map[string]map[string]any{"string_like": {"cos:prefix": listable}}, "", "*")
	}
	allow(grouped[onBucket], nil, "")
	allowOn([]string{"*"}, grouped[onService], nil)
	policy.Statement = append(policy.Statement, s.denyPublic()...)
	return policy
}

// checkLength counts what the SDK sends: the plain json.Marshal, before its
// escaping for the form.
func (s Scope) checkLength(policy *sts.CredentialPolicy) error {
	text, err := json.Marshal(policy)
	if n := utf8.RuneCount(text); n > maxPolicy {
		return &OptionError{Field: "AllowPrefixes", Problem: fmt.Sprintf(
			"the %d prefixes and %d actions make a policy of %d characters, and CAM takes %d; "+
				"name fewer prefixes, or shorter ones that cover several, or spread them over several scopes",
			len(s.AllowPrefixes), len(s.AllowActions), n, maxPolicy)}
	}
	return err
}

// resources are the six-segment names of paths in the bucket.
func (s Scope) resources(paths []string) []string {
	appID := s.Bucket[strings.LastIndexByte(s.Bucket, '-')+1:]
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = fmt.Sprintf("qcs::cos:%s:uid/%s:%s/%s", s.Region, appID, s.Bucket, path)
	}
	return names
}

// listable are the prefixes that may be listed, encoded and, if wanted, plain. A
// single key is none: to list under it would show every key that begins so.
func (s Scope) listable(plain bool) []string {
	var values []string
	for _, p := range s.AllowPrefixes {
		start, wild := strings.CutSuffix(p, "*")
		if !wild {
			continue
		}
		encoded := url.QueryEscape(start)
		values = append(values, encoded+"*")
		// Plain, a%2F would allow a/ to a reader that compares what is encoded.
		if plain && encoded != start && !strings.ContainsAny(start, "%+") {
			values = append(values, p)
		}
	}
	return values
}

// canonical is s with actions expanded, and all that is covered by something
// else left out: duplicates, prefixes below another, actions beside "*".
func (s Scope) canonical() Scope {
	s.AllowActions, _ = expand(s.AllowActions)
	if slices.Contains(s.AllowActions, anyAction) {
		s.AllowActions = []string{anyAction}
	}
	sorted := slices.Sorted(slices.Values(s.AllowPrefixes))
	s.AllowPrefixes = nil
	for _, p := range sorted {
		covered := slices.ContainsFunc(sorted, func(other string) bool { return p != other && covers(other, p) })
		if !covered && !slices.Contains(s.AllowPrefixes, p) {
			s.AllowPrefixes = append(s.AllowPrefixes, p)
		}
	}
	return s
}

// covers reports whether every key that p means is also meant by wide.
func covers(wide, p string) bool {
	start, wild := strings.CutSuffix(wide, "*")
	return wild && strings.HasPrefix(p, start)
}

// id is equal for two canonical scopes exactly when they are. Quoting keeps
// fields and list items apart.
func (s Scope) id() string {
	return fmt.Sprintf("%q %q %q %q", s.Bucket, s.Region, s.AllowPrefixes, s.AllowActions)
}
