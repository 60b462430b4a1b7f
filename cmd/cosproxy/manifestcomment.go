package main

// comment returns the lines that explain a setting where it is printed.
func (c *config) comment(kind manifestKind, field, value string) []string {
	switch {
	case field == "Source" && value == "cvm" && kind.hasImage:
		return []string{
			"The application shares the network of cosproxy, so it can read the credentials of the",
			"instance from the metadata service itself. In pods of TKE, use oidc instead.",
		}
	case field == "RoleARN":
		return c.roleComment()
	case field == "RoleExternalID":
		return []string{"Not a secret: it is a part of the trust policy of the role."}
	case field == "TKETokenFile" && c.Source.TKEProviderID == "":
		return []string{
			"cosproxy takes the identity provider from the issuer of the token. If it has another",
			"name in CAM, set TKE_PROVIDER_ID and TKE_REGION.",
		}
	}
	return nil
}

// roleComment says which of two roles needs which policy.
func (c *config) roleComment() []string {
	for _, r := range c.routeConfigs {
		if !c.Source.chained(r.Source) {
			continue
		}
		first := "that of the instance"
		if r.Source == "oidc" {
			first = variable("TKERoleARN")
		}
		return []string{
			"The second role: it needs the policies of the routes, and trusts the first role. The first",
			"role, " + first + ", needs only the permission to assume it. cosproxy policy prints all policies.",
			"This was not tested on Tencent Cloud: see Two roles in the manual.",
		}
	}
	return nil
}
