package cosreq

import "net/http"

// ActionPrefix begins the name of every COS action in a CAM policy.
const ActionPrefix = "name/cos:"

// AnyAction is the pattern of all actions of COS.
const AnyAction = ActionPrefix + "*"

// Actions with special rules.
const (
	GetService   = ActionPrefix + "GetService"
	GetObject    = ActionPrefix + "GetObject"
	PutObject    = ActionPrefix + "PutObject"
	PostObject   = ActionPrefix + "PostObject"
	DeleteObject = ActionPrefix + "DeleteObject"

	getBucket               = ActionPrefix + "GetBucket"
	getBucketObjectVersions = ActionPrefix + "GetBucketObjectVersions"
	listMultipartUploads    = ActionPrefix + "ListMultipartUploads"
	listBucketInventory     = ActionPrefix + "ListBucketInventory"
)

// Operation is the operation of a request in COS's terms.
type Operation struct {
	Action  string   // as in CAM policies, such as name/cos:PutObject; empty if undocumented
	Key     string   // object key; empty for the bucket
	Also    []Need   // further actions that must be allowed
	Unknown []string // query parameters that COS does not document for the operation
}

// Need is a further action that a request requires.
type Need struct {
	Action string // empty if COS documents no action, so that all actions must be allowed
	By     string // the parameter, header field or form field that requires the action
}

// Classify returns the operation of a request with a method of KnownMethod. Its action is
// empty if COS documents none for the method and sub-resource. Of several sub-resources,
// the first selects the action and the others are in Also. The object key of a form upload
// is in the form, so Classify does not return it. COS ignores the query of OPTIONS
// requests: pass an empty one.
func Classify(method, key string, q Query) Operation {
	table := objectSubresources
	if key == "" {
		table = bucketSubresources
	}
	op := Operation{Key: key}
	if len(q.Params) == 0 {
		op.Action = table[""][method]
		return op
	}
	var buf [4]string
	var subresources []string
	subresources, op.Unknown = classifyParams(buf[:0], method, key, q)
	if len(subresources) == 0 {
		subresources = append(subresources, "")
	}
	for i, sub := range subresources {
		action := table[sub][method]
		if sub == "inventory" && method == http.MethodGet && !q.Has("id") {
			action = listBucketInventory
		}
		if i == 0 { // COS routes on the first parameter that selects something
			op.Action = action
		} else if action != op.Action {
			op.Also = append(op.Also, Need{action, sub})
		}
	}
	return op
}

// Service returns the operation of GET Service, which lists the buckets of the account.
func Service(q Query) Operation {
	op := Operation{Action: GetService}
	for _, p := range q.Params {
		if !serviceParameters[p.Key] {
			op.Unknown = append(op.Unknown, p.Key)
		}
	}
	return op
}

// Needs reports whether is returns true for an action that op requires.
func (op Operation) Needs(is func(action string) bool) bool {
	if is(op.Action) {
		return true
	}
	for _, n := range op.Also {
		if is(n.Action) {
			return true
		}
	}
	return false
}

// Put returns the action that sets the ACL or Tagging (noun) of the object or bucket that op
// writes.
func (op Operation) Put(noun string) string {
	if op.Key == "" && op.Action != PostObject {
		return ActionPrefix + "PutBucket" + noun
	}
	return ActionPrefix + "PutObject" + noun
}

// IsListing reports whether an action lists the object keys under a prefix.
func IsListing(action string) bool {
	switch action {
	case getBucket, getBucketObjectVersions, listMultipartUploads:
		return true
	}
	return false
}
