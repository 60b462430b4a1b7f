// Package credcache keeps one valid temporary key for each scope that a
// program works in, so that signing a request never waits for STS.
//
// A [Scope] says what a key may touch: one bucket, key prefixes, actions. A
// [Source] turns a scope into credentials; [NewSTS] asks GetFederationToken for
// a key that can do no more than the scope, [NewStatic] hands out a given one.
// A [Cache] calls the source, and [Provider] is its handle on one scope:
//
//	source, err := credcache.NewSTS(credcache.STSOptions{SecretID: id, SecretKey: key})
//	…
//	cache := credcache.New(source, credcache.Options{})
//	defer cache.Close()
//	uploads := cache.For(credcache.Scope{
//		Bucket:   "examplebucket-1250000000",
//		Region:   "ap-beijing",
//		Prefixes: []string{"uploads/*"},
//		Actions:  []string{"upload"},
//	})
//	creds, err := uploads.Credentials(ctx)
//
// # The life of a key
//
//	fetched ──────────── soft ───────────── hard ──── expired
//	  used at once        │  used; one       │  a request waits for   │ refused:
//	                      │  refresh in the  │  the refresh, at most  │ *UnavailableError
//	                      │  background      │  1 s, then uses it     │
//
// soft is 2/3 of the life ± 10 %, and at least 5 min before the expiry of a key
// that lives longer than 15 min; hard is 60 s or 1/5 of the life before the
// expiry, whichever is less. A refresh needs no traffic: a timer starts it.
// Every use compares the wall clock all the same, because timers stand still
// while a laptop sleeps.
//
// A refresh that fails leaves the key in use until its true expiry and is tried
// again after 1 s, doubling to 60 s, with full jitter. An error that a repeat
// cannot mend is remembered for 5 s, so that a storm of requests is no storm of
// calls. One fetch per scope is in flight at any time, and it outlives the
// request that began it.
//
// [Provider.Invalidate] drops a key that COS refused, but only the key that was
// refused: a late report on an older key leaves its successor alone.
//
// # Presets
//
// [ExpandActions] knows these words besides action names written out. None
// covers ACLs or the settings of a bucket: those are named one by one.
//
//	read    GetObject HeadObject OptionsObject GetObjectTagging
//	list    GetBucket HeadBucket
//	upload  PutObject PostObject InitiateMultipartUpload UploadPart
//	        UploadPartCopy ListParts CompleteMultipartUpload
//	        AbortMultipartUpload ListMultipartUploads
//	write   upload and AppendObject PutObjectTagging DeleteObjectTagging
//	        PostObjectRestore
//	delete  DeleteObject DeleteMultipleObjects
//
// # When not to use it
//
// The cache holds an entry for every scope it was asked for until Close, which
// suits the handful of scopes of a configuration. It is the wrong tool for
// issuing a key per end user.
package credcache
