package cosreq

import "strings"

// Protected returns what a header field or form field sets that has a right of its
// own, ACL or Tagging, or "" if it needs none: private and default make nothing
// public. Any other spelling of these does, and so does a field that comes twice,
// since COS may read it in another way. name is in lower case.
func Protected(name string, values ...string) string {
	rest, ok := strings.CutPrefix(name, "x-cos-")
	if !ok {
		rest, ok = strings.CutPrefix(name, "x-amz-") // in case COS reads those of S3
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
