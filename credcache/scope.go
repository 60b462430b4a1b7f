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

// Scope limits what credentials grant. Order and repetition of prefixes and actions do not
// matter: scopes that grant the same share their credentials.
type Scope struct {
	// Bucket with its APPID: examplebucket-1250000000. Required.
	Bucket string
	// Region of the bucket: ap-beijing. Required.
	Region string
	// AllowPrefixes are the allowed object keys: "uploads/*" for all that begin with
	// "uploads/", "a.txt" for this one, "*" for the whole bucket. At least one is required;
	// by default nothing is allowed.
	AllowPrefixes []string
	// AllowActions are the allowed actions, as words of ExpandActions. At least one is
	// required.
	AllowActions []string
}

var (
	// "Bucket Overview", Naming Conventions: lower-case letters, digits and
	// hyphens, then the APPID. APPIDs have ten digits today. Six accept older
	// ones and reject a name like reports-2024.
	bucketForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9]{6,}$`)
	regionForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// Validate returns all problems of s as joined *OptionErrors.
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
		unknown = append(unknown, "none given; write the allowed actions, such as read,list or upload")
	}
	return errors.Join(
		joinProblems("Bucket", bucket), joinProblems("Region", region),
		joinProblems("AllowPrefixes", prefixProblems(s.AllowPrefixes)), joinProblems("AllowActions", unknown))
}

func prefixProblems(prefixes []string) []string {
	var problems []string
	for _, p := range prefixes {
		if problem := prefixProblem(p); problem != "" {
			problems = append(problems, problem)
		}
	}
	if len(prefixes) == 0 {
		problems = append(problems, "none given; write the allowed object keys, such as uploads/*, or * for the whole bucket")
	}
	return problems
}

func prefixProblem(p string) string {
	// The STS SDK sends the policy through url.QueryEscape, which turns a space
	// into "+". Whether STS decodes that to a space is not documented.
	unsafe := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	switch {
	case p == "":
		return "an empty prefix; write * for the whole bucket"
	case !utf8.ValidString(p):
		return fmt.Sprintf("%q is not UTF-8, and object keys are; write it in UTF-8", p)
	case strings.ContainsFunc(p, unsafe):
		return fmt.Sprintf("%q has a blank or a control character, which an STS policy cannot carry; end the prefix before it with *", p)
	case strings.HasPrefix(p, "/"):
		return fmt.Sprintf("%q begins with a slash, and object keys do not; write %q", p, strings.TrimLeft(p, "/"))
	case strings.Contains(p[:len(p)-1], "*"):
		return fmt.Sprintf("%q has a * before its end; a * is allowed only as the last character", p)
	case strings.HasSuffix(p, "/"):
		return fmt.Sprintf("%q matches this one object key and nothing below it; write %q", p, p+"*")
	}
	return ""
}

// joinProblems returns one *OptionError per problem of a field, joined.
func joinProblems(field string, problems []string) error {
	var all []error
	for _, problem := range problems {
		all = append(all, &OptionError{Field: field, Problem: problem})
	}
	return errors.Join(all...)
}

// maxPolicy is the maximum length of a policy as JSON, in characters ("Limits" of CAM).
const maxPolicy = 6144

// Policy compiles s to a CAM policy with the least privilege that the documented resources
// and conditions can express. Equal scopes have equal policies. The error is that of
// Validate, or an *OptionError with the Field "AllowPrefixes" if the policy exceeds the
// limit of CAM, 6144 characters of JSON. That limit does not apply to sources that send no
// policy.
//
//   - The resource limits object calls to the object keys.
//   - The condition cos:prefix limits listings: COS rejects a listing without a prefix, or
//     with one outside the scope. If all prefixes are single object keys, nothing can be
//     listed.
//   - Uploads that make the object public through x-cos-acl, which COS authorizes as
//     uploads, are denied unless PutObjectACL is among the actions. The same holds for
//     PutBucket and PutBucketACL. Grants, tags and the form field acl are not documented as
//     conditions, so a policy cannot deny them.
//   - Calls on the bucket itself cannot be limited to a prefix. GetService, the list of the
//     account's buckets, cannot be limited to a bucket: it has its own statement with the
//     resource *.
//   - "*" as action covers object calls and listings of the prefixes. It covers calls on the
//     bucket and GetService only if "*" is a prefix as well.
//
// The condition has the form of "Conditions" (436/46205): string_like with a trailing *,
// the value percent-encoded as in the query. No other document confirms this encoding, so
// the condition lists the plain value too, unless that makes the policy too long.
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

// compile returns the policy of a canonical scope. listable holds the values of cos:prefix.
func (s Scope) compile(listable []string) *sts.CredentialPolicy {
	grouped := make(map[level][]string)
	for _, a := range s.AllowActions {
		grouped[actions[a]] = append(grouped[actions[a]], a)
	}
	wholeBucket := s.AllowPrefixes[0] == "*"
	if all := grouped[0]; all != nil { // anyAction, the only action without a level
		grouped[onObject] = all
		if !wholeBucket {
			grouped[onListing] = actionNames("GetBucket GetBucketObjectVersions ListMultipartUploads")
		} else {
			grouped[onService] = actionNames("GetService")
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
	if wholeBucket {
		allow(grouped[onListing], nil, "", "*")
	} else if len(listable) > 0 {
		allow(grouped[onListing], map[string]map[string]any{"string_like": {"cos:prefix": listable}}, "", "*")
	}
	allow(grouped[onBucket], nil, "")
	allowOn([]string{"*"}, grouped[onService], nil)
	policy.Statement = append(policy.Statement, s.denyPublic()...)
	return policy
}

// checkLength limits the text that the SDK sends: json.Marshal, before it is escaped for the
// form.
func (s Scope) checkLength(policy *sts.CredentialPolicy) error {
	text, err := json.Marshal(policy)
	if n := utf8.RuneCount(text); n > maxPolicy {
		return &OptionError{Field: "AllowPrefixes", Problem: fmt.Sprintf(
			"the %d prefixes and %d actions make a policy of %d characters, and CAM accepts %d; "+
				"name fewer prefixes, or shorter ones that cover several, or spread them over several scopes",
			len(s.AllowPrefixes), len(s.AllowActions), n, maxPolicy)}
	}
	return err
}

// resources returns the six-segment resource names of paths in the bucket.
func (s Scope) resources(paths []string) []string {
	appID := s.Bucket[strings.LastIndexByte(s.Bucket, '-')+1:]
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = fmt.Sprintf("qcs::cos:%s:uid/%s:%s/%s", s.Region, appID, s.Bucket, path)
	}
	return names
}

// listable returns the prefixes that may be listed, encoded and, if plain is set, as they
// are. A single object key is not among them: a listing with this prefix would return every
// object key that begins with it.
func (s Scope) listable(plain bool) []string {
	var values []string
	for _, p := range s.AllowPrefixes {
		start, wild := strings.CutSuffix(p, "*")
		if !wild {
			continue
		}
		encoded := url.QueryEscape(start)
		values = append(values, encoded+"*")
		// A plain a%2F would also allow a/ if COS compares encoded values.
		if plain && encoded != start && !strings.ContainsAny(start, "%+") {
			values = append(values, p)
		}
	}
	return values
}

// canonical returns s with presets expanded, lists sorted and redundant items removed:
// duplicates, prefixes that another one covers, and other actions if "*" is present.
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

// covers reports whether the prefix outer matches every object key that p matches.
func covers(outer, p string) bool {
	start, wild := strings.CutSuffix(outer, "*")
	return wild && strings.HasPrefix(p, start)
}

// ID returns a string that is equal for two results of Canonical if and only if the scopes are
// equal. Quoting separates fields and list items.
func (s Scope) ID() string {
	return fmt.Sprintf("%q %q %q %q", s.Bucket, s.Region, s.AllowPrefixes, s.AllowActions)
}
