package credcache

import (
	"fmt"
	"slices"
	"strings"
)

// Every action of COS; granted only where "*" is written out.
const anyAction = "name/cos:*"

// level says which resource COS checks an action against.
type level int

const (
	onObject  level = iota + 1 // <bucket>/<key>
	onListing                  // <bucket>/, narrowed by the prefix that is asked for
	onBucket                   // <bucket>/
	onService                  // *
)

// actions are the action names that the guide "Working with COS API
// Authorization Policies" (436/30580) and the preset policies document.
var actions = levels(map[level]string{
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
	// It lists the buckets of the account, so no bucket can bind it.
	onService: `GetService`,
})

// upload has UploadPartCopy, and delete DeleteMultipleObjects, because the
// guide and the preset policies name those two calls differently; the name that
// COS does not check grants nothing more.
const uploadActions = `PutObject PostObject InitiateMultipartUpload UploadPart UploadPartCopy
	ListParts CompleteMultipartUpload AbortMultipartUpload ListMultipartUploads`

var presets = map[string][]string{
	"read":   named("GetObject HeadObject OptionsObject GetObjectTagging"),
	"list":   named("GetBucket HeadBucket"),
	"upload": named(uploadActions),
	"write":  named(uploadActions + " AppendObject PutObjectTagging DeleteObjectTagging PostObjectRestore"),
	"delete": named("DeleteObject DeleteMultipleObjects"),
	"acl":    named("GetObjectACL PutObjectACL"),
}

func named(words string) []string {
	names := strings.Fields(words)
	for i := range names {
		names[i] = "name/cos:" + names[i]
	}
	return names
}

func levels(words map[level]string) map[string]level {
	all := make(map[string]level)
	for l, w := range words {
		for _, name := range named(w) {
			all[name] = l
		}
	}
	return all
}

// ExpandActions replaces the presets among words by the actions that they stand
// for. It also takes action names written out ("name/cos:GetObject"), and "*",
// which becomes "name/cos:*". The result is sorted and without duplicates.
//
// The error joins an *OptionError with the Field "AllowActions" for each word that
// it does not know.
func ExpandActions(words []string) ([]string, error) {
	expanded, mistakes := expand(words)
	return expanded, joinMistakes("AllowActions", mistakes)
}

// expand keeps an unknown word as it is and says what is wrong with it.
func expand(words []string) (expanded, mistakes []string) {
	for _, word := range words {
		switch preset := presets[word]; {
		case preset != nil:
			expanded = append(expanded, preset...)
			continue
		case word == "*":
			word = anyAction
		case actions[word] == 0 && word != anyAction:
			mistakes = append(mistakes, unknownAction(word))
		}
		expanded = append(expanded, word)
	}
	slices.Sort(expanded)
	return slices.Compact(expanded), mistakes
}

func unknownAction(word string) string {
	for name := range actions {
		if short := strings.TrimPrefix(name, "name/cos:"); strings.EqualFold(word, name) ||
			strings.EqualFold(word, "cos:"+short) || strings.EqualFold(word, short) {
			return fmt.Sprintf("unknown action %q; write %s", word, name)
		}
	}
	return fmt.Sprintf("unknown action %q; write read, list, upload, write, delete or acl, a COS action such as name/cos:GetObject, or * for all", word)
}
