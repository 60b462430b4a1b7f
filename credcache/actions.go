package credcache

import (
	"fmt"
	"slices"
	"strings"
)

// anyAction is every action of COS. It is granted only if the configuration says "*".
const anyAction = "name/cos:*"

// level is the resource that COS checks an action against.
type level int

const (
	onObject  level = iota + 1 // <bucket>/<key>
	onListing                  // <bucket>/, narrowed by the requested prefix
	onBucket                   // <bucket>/
	onService                  // *
)

// actions are the action names that the guide "Working with COS API
// Authorization Policies" (436/30580) and the preset policies document.
var actions = levelsByName(map[level]string{
	onObject: `
		GetObject HeadObject OptionsObject PutObject PostObject AppendObject
		DeleteObject DeleteMultipleObjects PostObjectRestore
		InitiateMultipartUpload UploadPart UploadPartCopy ListParts
		CompleteMultipartUpload AbortMultipartUpload
		GetObjectACL PutObjectACL
		GetObjectTagging PutObjectTagging DeleteObjectTagging`,
	// "Conditions" (436/46205): cos:prefix applies to these.
	onListing: `GetBucket GetBucketObjectVersions ListMultipartUploads`,
	onBucket: `
		HeadBucket PutBucket DeleteBucket GetBucketLocation
		GetBucketACL PutBucketACL
		GetBucketCORS PutBucketCORS DeleteBucketCORS
		GetBucketLifecycle PutBucketLifecycle DeleteBucketLifecycle
		GetBucketPolicy PutBucketPolicy DeleteBucketPolicy
		GetBucketTagging PutBucketTagging DeleteBucketTagging
		GetBucketVersioning PutBucketVersioning
		GetBucketReplication PutBucketReplication DeleteBucketReplication
		GetBucketWebsite PutBucketWebsite DeleteBucketWebsite
		GetBucketReferer PutBucketReferer
		GetBucketDomain PutBucketDomain DeleteBucketDomain
		GetBucketOrigin PutBucketOrigin DeleteBucketOrigin
		GetBucketLogging PutBucketLogging
		GetBucketNotification PutBucketNotification
		GetBucketAccelerate PutBucketAccelerate
		GetBucketEncryption PutBucketEncryption DeleteBucketEncryption
		GetBucketInventory PutBucketInventory DeleteBucketInventory ListBucketInventory`,
	// GetService lists the buckets of the account; it cannot be limited to a bucket.
	onService: `GetService`,
})

// uploadActions are the actions of the preset upload. They include UploadPartCopy,
// and the preset delete includes DeleteMultipleObjects, because the guide and the
// preset policies name those two calls differently. The name that COS does not check
// grants nothing.
const uploadActions = `PutObject PostObject InitiateMultipartUpload UploadPart UploadPartCopy
	ListParts CompleteMultipartUpload AbortMultipartUpload ListMultipartUploads`

// presets are the words that ExpandActions replaces.
var presets = map[string][]string{
	"read":   actionNames("GetObject HeadObject OptionsObject GetObjectTagging"),
	"list":   actionNames("GetBucket HeadBucket"),
	"upload": actionNames(uploadActions),
	"write":  actionNames(uploadActions + " AppendObject PutObjectTagging DeleteObjectTagging PostObjectRestore"),
	"delete": actionNames("DeleteObject DeleteMultipleObjects"),
	"acl":    actionNames("GetObjectACL PutObjectACL"),
}

// actionNames returns the words with the prefix name/cos:.
func actionNames(words string) []string {
	names := strings.Fields(words)
	for i := range names {
		names[i] = "name/cos:" + names[i]
	}
	return names
}

// levelsByName inverts the table: from action name to level.
func levelsByName(words map[level]string) map[string]level {
	all := make(map[string]level)
	for l, w := range words {
		for _, name := range actionNames(w) {
			all[name] = l
		}
	}
	return all
}

// ExpandActions replaces the presets in words with their actions. Other words must be
// full action names ("name/cos:GetObject") or "*", which becomes "name/cos:*". The
// result is sorted and has no duplicates.
//
// The error joins one *OptionError with the Field "AllowActions" for each unknown
// word.
func ExpandActions(words []string) ([]string, error) {
	expanded, problems := expand(words)
	return expanded, joinProblems("AllowActions", problems)
}

// expand keeps unknown words and returns one problem for each.
func expand(words []string) (expanded, problems []string) {
	for _, word := range words {
		switch preset := presets[word]; {
		case preset != nil:
			expanded = append(expanded, preset...)
			continue
		case word == "*":
			word = anyAction
		case actions[word] == 0 && word != anyAction:
			problems = append(problems, unknownAction(word))
		}
		expanded = append(expanded, word)
	}
	slices.Sort(expanded)
	return slices.Compact(expanded), problems
}

// unknownAction describes the problem with word and suggests the correct spelling.
func unknownAction(word string) string {
	for name := range actions {
		if short := strings.TrimPrefix(name, "name/cos:"); strings.EqualFold(word, name) ||
			strings.EqualFold(word, "cos:"+short) || strings.EqualFold(word, short) {
			return fmt.Sprintf("unknown action %q; write %s", word, name)
		}
	}
	return fmt.Sprintf("unknown action %q; write read, list, upload, write, delete or acl, a COS action such as name/cos:GetObject, or * for all", word)
}
