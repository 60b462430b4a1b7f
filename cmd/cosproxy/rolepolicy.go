package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"cosproxy/credcache"
)

// What CAM needs for two roles of which the first assumes the second. The policies have the
// form of the CAM documents "Creating Role" (598/19381) and "Using Role" (598/19419). These
// show an account as the principal; that a role can be one rests on public code.

// camPolicy is a policy of CAM, in the order in which its documents write the elements.
type camPolicy struct {
	Version   string         `json:"version"`
	Statement []camStatement `json:"statement"`
}

type camStatement struct {
	Effect    string                       `json:"effect"`
	Action    string                       `json:"action"`
	Principal map[string][]string          `json:"principal,omitempty"`
	Resource  []string                     `json:"resource,omitempty"`
	Condition map[string]map[string]string `json:"condition,omitempty"`
}

// String returns the policy as JSON on one line.
func (p camPolicy) String() string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // strings cannot fail
	return strings.TrimSpace(b.String())
}

// trustPolicy returns the trust policy of the second role, with the first role of source as
// the principal.
func (c *sourceConfig) trustPolicy(source string) camPolicy {
	first, _ := c.firstRole(source)
	st := camStatement{Effect: "allow", Action: "name/sts:AssumeRole", Principal: map[string][]string{"qcs": {first}}}
	if c.RoleExternalID != "" {
		st.Condition = map[string]map[string]string{"string_equal": {"sts:external_id": c.RoleExternalID}}
	}
	return camPolicy{"2.0", []camStatement{st}}
}

// assumePolicy returns the only permission that the first role needs.
func (c *sourceConfig) assumePolicy() camPolicy {
	return camPolicy{"2.0", []camStatement{{Effect: "allow", Action: "name/sts:AssumeRole", Resource: []string{c.RoleARN}}}}
}

// writeRolePolicies writes the policies that connect the two roles of a chained source.
func (c *sourceConfig) writeRolePolicies(w io.Writer, enc *json.Encoder, source string) error {
	first, setting := c.firstRole(source)
	fmt.Fprintf(w, "# Second role, %s=%s: attach the policies of its routes above. Its trust policy:\n", variable("RoleARN"), c.RoleARN)
	if source == "cvm" {
		fmt.Fprintf(w, "# This assumes that the instance belongs to the account of the second role; set %s to print the name of its own role.\n", setting)
	}
	if err := enc.Encode(c.trustPolicy(source)); err != nil {
		return err
	}
	fmt.Fprintf(w, "# First role, %s: attach this and nothing else:\n", first)
	return enc.Encode(c.assumePolicy())
}

// deniesAssumeRole reports whether STS denies AssumeRole to credentials that it accepts.
func deniesAssumeRole(e *credcache.SourceError) bool {
	class, _, _ := strings.Cut(e.Code, ".")
	return e.Source == "role" && (class == "UnauthorizedOperation" || e.Code == "AuthFailure.UnauthorizedOperation")
}

// trustFault explains a denied AssumeRole. STS does not say which of the two policies is
// missing.
func (c *routeCheck) trustFault(e *credcache.SourceError) fault {
	s := &c.cfg.Source
	first, _ := s.firstRole(c.route.Source)
	return fault{
		Code:    "role_trust",
		Problem: fmt.Sprintf("STS denies %s to assume %s: %s: %s", first, s.RoleARN, e.Code, e.Message),
		Advice: fmt.Sprintf("in CAM, set the trust policy of %s to\n    %s\n  and attach to %s the policy\n    %s\n  (cosproxy policy prints both); check %s, too",
			s.RoleARN, s.trustPolicy(c.route.Source), first, s.assumePolicy(), variable("RoleExternalID")),
	}
}
