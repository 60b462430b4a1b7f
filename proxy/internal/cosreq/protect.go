package cosreq

import "strings"

// Protected returns the property that a header field or form field sets and that requires
// a further action: ACL or Tagging. It returns "" for any other field, and for the ACLs
// private and default, which publish nothing. Other spellings of these, or repeated fields,
// return ACL, because COS may read them differently. name must be in lower case.
func Protected(name string, values ...string) string {
	rest, ok := strings.CutPrefix(name, "x-cos-")
	if !ok {
		rest, ok = strings.CutPrefix(name, "x-amz-") // COS may support the fields of S3
	}
	switch {
	case !ok:
		return ""
	case rest == "acl":
		if len(values) == 1 && (values[0] == "private" || values[0] == "default") {
			return ""
		}
		return "ACL"
	case strings.HasPrefix(rest, "grant-"):
		return "ACL"
	case rest == "tagging":
		return "Tagging"
	}
	return ""
}
