package cosemu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// policy is a CAM policy for STS: statements without principals.
type policy struct {
	Version   string      `json:"version"`
	Statement []statement `json:"statement"`
}

type statement struct {
	Effect    string                        `json:"effect"`
	Action    stringList                    `json:"action"`
	Resource  stringList                    `json:"resource"`
	Condition map[string]map[string]operand `json:"condition"`
}

// stringList is a JSON string or a list of strings.
type stringList []string

func (l *stringList) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*l = make(stringList, 1)
		return json.Unmarshal(data, &(*l)[0])
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// operand holds the values that a condition compares with: a JSON string, number or
// bool, or a list of these, each as its text.
type operand []string

func (o *operand) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		data = slices.Concat([]byte("["), data, []byte("]"))
	}
	var values []any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return err
	}
	for _, value := range values {
		switch value.(type) {
		case string, bool, json.Number:
			*o = append(*o, fmt.Sprint(value))
		default:
			return fmt.Errorf("a condition compares with %s", data)
		}
	}
	return nil
}

// parsePolicy parses and validates a policy. Unknown elements, such as a principal,
// are errors, since the emulator could not enforce them.
func parsePolicy(text string) (*policy, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var p policy
	if err := decoder.Decode(&p); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("text after the policy")
	}
	if p.Version != "2.0" {
		return nil, fmt.Errorf(`version is %q, not "2.0"`, p.Version)
	}
	if len(p.Statement) == 0 {
		return nil, errors.New("no statement")
	}
	for i, st := range p.Statement {
		if err := st.check(); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return &p, nil
}

func (st statement) check() error {
	if st.Effect != "allow" && st.Effect != "deny" {
		return fmt.Errorf("effect is %q, not allow or deny", st.Effect)
	}
	if len(st.Action) == 0 || len(st.Resource) == 0 {
		return errors.New("action and resource must be given")
	}
	for _, action := range st.Action {
		if _, name, ok := strings.Cut(action, ":"); action != "*" && (!ok || name == "") {
			return fmt.Errorf("action %q is not name/<service>:<Action>", action)
		}
	}
	for _, resource := range st.Resource {
		if resource != "*" && (strings.Count(resource, ":") < 5 || !strings.HasPrefix(resource, "qcs:")) {
			return fmt.Errorf("resource %q does not have the six segments of qcs::cos:<region>:uid/<appid>:<bucket>/<key>", resource)
		}
	}
	return nil
}

// access is one operation on one resource.
type access struct {
	// action is the COS action without "name/cos:".
	action string
	region string
	bucket string
	// path follows "<bucket>/" in the resource: an object key, the prefix of a
	// listing, or nothing.
	path string
	// conditions are the values of the request for policy conditions.
	conditions conditionValues
}

// allows reports whether p allows a: an allow statement matches and no deny statement
// does.
func (p *policy) allows(a access) bool {
	return p.decide(a.conditions, func(st statement) bool { return st.covers(a) })
}

// allowsAssumeRole reports whether p allows sts:AssumeRole on the role.
func (p *policy) allowsAssumeRole(arn string) bool {
	return p.decide(nil, func(st statement) bool {
		return slices.ContainsFunc(st.Action, func(pattern string) bool { return matchAction(pattern, "sts", "AssumeRole") }) &&
			slices.ContainsFunc(st.Resource, func(pattern string) bool { return matchGlob(pattern, arn) })
	})
}

// decide is allows for the statements that covers selects.
func (p *policy) decide(conditions conditionValues, covers func(statement) bool) bool {
	allowed := false
	for _, st := range p.Statement {
		if !covers(st) {
			continue
		}
		deny := st.Effect == "deny"
		if holds, known := st.conditionHolds(conditions); !holds && (known || !deny) {
			continue
		}
		if deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (st statement) covers(a access) bool {
	return slices.ContainsFunc(st.Action, func(pattern string) bool { return matchAction(pattern, "cos", a.action) }) &&
		slices.ContainsFunc(st.Resource, func(pattern string) bool { return matchResource(pattern, a) })
}

// matchAction matches name/<service>:X and <service>:X. A "*" at the end matches any text.
func matchAction(pattern, service, action string) bool {
	if pattern == "*" {
		return true
	}
	pattern, ok := strings.CutPrefix(strings.TrimPrefix(pattern, "name/"), service+":")
	if !ok {
		return false
	}
	if prefix, wild := strings.CutSuffix(pattern, "*"); wild {
		return strings.HasPrefix(action, prefix)
	}
	return pattern == action
}

// matchResource matches qcs:<project>:cos:<region>:uid/<appid>:<bucket>/<path> by
// segment. "*" matches any text within its segment, which for the last one includes
// slashes and colons.
func matchResource(pattern string, a access) bool {
	if pattern == "*" {
		return true
	}
	segments := strings.SplitN(pattern, ":", 6)
	appID := a.bucket[strings.LastIndexByte(a.bucket, '-')+1:]
	return len(segments) == 6 &&
		segments[0] == "qcs" &&
		(segments[1] == "" || segments[1] == "*") &&
		matchGlob(segments[2], "cos") &&
		matchGlob(segments[3], a.region) &&
		matchGlob(segments[4], "uid/"+appID) &&
		matchGlob(segments[5], a.bucket+"/"+a.path)
}

// matchGlob matches text with a pattern in which "*" matches any text.
func matchGlob(pattern, text string) bool {
	prefix, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], after
	}
}
