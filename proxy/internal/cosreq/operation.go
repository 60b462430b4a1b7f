package cosreq

import "net/http"

// ActionPrefix begins the name of every COS action in a CAM policy.
const ActionPrefix = "name/cos:"

// AnyAction is the pattern of all actions of COS.
const AnyAction = ActionPrefix + "*"

// Actions that callers treat in a way of their own.
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

// Operation is what one request does in COS's terms.
type Operation struct {
	Action  string   // as CAM policies name it, name/cos:PutObject; empty if COS documents none
	Key     string   // object key; empty for the bucket
	Also    []Need   // what must be allowed in addition
	Unknown []string // parameters that COS does not document for it
}

// Need is a right that a request needs in addition to that of its operation.
type Need struct {
	Action string // empty if COS documents no action, so that all must be allowed
	By     string // the parameter, header or form field that requires it
}

// Classify names the operation of a request with a method of KnownMethod. The action
// is empty if COS documents none for this method and sub-resource. Of several
// sub-resources the others must be allowed too. The key of a form upload is in the
// form and not known here. For OPTIONS, COS ignores the query: pass an empty one.
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

// Service names the operation of GET Service, which lists the buckets of the account.
func Service(q Query) Operation {
	op := Operation{Action: GetService}
	for _, p := range q.Params {
		if !serviceParameters[p.Key] {
			op.Unknown = append(op.Unknown, p.Key)
		}
	}
	return op
}

// Needs reports whether op needs an action of which is reports true.
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

// Put names the action that sets what noun names, ACL or Tagging, where op writes.
func (op Operation) Put(noun string) string {
	if op.Key == "" && op.Action != PostObject {
		return ActionPrefix + "PutBucket" + noun
	}
	return ActionPrefix + "PutObject" + noun
}

// IsListing reports whether an action lists the keys under a prefix.
func IsListing(action string) bool {
	switch action {
	case getBucket, getBucketObjectVersions, listMultipartUploads:
		return true
	}
	return false
}
