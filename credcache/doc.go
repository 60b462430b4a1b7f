// Package credcache keeps one valid temporary key for each scope that a
// program works in, so that signing a request never waits for STS.
//
// A [Scope] says what a key may touch: one bucket, key prefixes, actions. A
// [Source] turns a scope into credentials, and a [Cache] calls the source;
// [Provider] is its handle on one scope:
//
//	source, err := credcache.NewSTS(credcache.STSOptions{Pair: credcache.FixedPair(id, key)})
//	…
//	cache := credcache.New(source, credcache.Options{})
//	defer cache.Close()
//	uploads := cache.For(credcache.Scope{
//		Bucket:   "examplebucket-1250000000",
//		Region:   "ap-beijing",
//		AllowPrefixes: []string{"uploads/*"},
//		AllowActions:  []string{"upload"},
//	})
//	creds, err := uploads.Credentials(ctx)
//
// # Sources
//
//	              asks                             with                  a key can do
//	NewSTS        STS GetFederationToken           long-lived pair       scope ∩ rights of the pair
//	NewRole       STS AssumeRole                   long-lived pair       scope ∩ rights of the role
//	NewOIDC       STS AssumeRoleWithWebIdentity    service account token what the role may
//	NewCVM        metadata service of the instance its address           what the role may
//	NewHTTP       a key server, over HTTP          bearer token or none  what the server granted
//	NewFile       a file, again every minute       –                     whatever it can
//	NewStatic     nobody                           –                     whatever it can
//
// The scope limits a key at COS in the first two, and in the fifth if the server
// heeds it. Elsewhere the owner of the role or key has to make it narrow.
//
// Secrets in files (the pair through [FilePair], tokens) are read anew at each
// fetch, so a rotated one counts from the next key on. A source never turns to
// another one. It follows no redirect, reads 64 KiB of an answer at most, takes
// no answer for a key that lacks a field or has expired, and reports every
// failure as a *[SourceError]:
//
//	retryable   no connection, timeout, HTTP 408, 429 and 5xx, InternalError and
//	            RequestLimitExceeded of STS, what is no usable key, any trouble
//	            with a file
//	permanent   any other HTTP status or code of STS, a scope that makes no
//	            policy, an instance with no role or with several
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
// again after 1 s, doubling to 60 s, with full jitter; to a fifth of the rest of
// a key (5 min at most) where that is longer, to a tenth of a life under 10 min.
// RequestLimitExceeded starts at 8 s and ends at 2 min. An error that a repeat
// cannot mend is remembered for 5 s at least and 60 s at most, so that a storm
// of requests is no storm of calls. One fetch per scope is in flight at any time,
// and it outlives the request that began it.
//
// A [Rechecker], as [NewFile] is, is asked every minute instead of at soft, and
// once more at the expiry; the same key again is then no failure.
//
// # When COS rejects a key
//
// One rejection proves nothing: faults at COS show as rejections too. So a key
// stays in use until its source gives another one, and it keeps the program ready.
//
//	COS accepted the key less    the request tries the same key once more;
//	  than 5 s ago               a second rejection in a row counts as the next line
//	any other rejection          the source is asked, and the request waits for it
//	the source has another key   it takes the place of the rejected one
//	it gives the rejected one    the key stays in use, its refresh as planned, and
//	                             COS's response to the request is the last word
//	it fails                     the same, and the source is tried again as above
//
// The source is asked because of a rejection at most 5 times at once and then once
// in 10 s, and after its own failure only as the retries allow. A late report on an
// older key leaves its successor alone. [Provider.Accepted], [Provider.Invalidate]
// and [Provider.Replacement] are the three calls.
//
// # What a failure costs
//
// TestCacheUnderFire: a key of 30 min, a request each second, and STS failing
// from minute 15 to 28:30, or to 44:30, or for the first 90 s. The refresh is
// due at minute 20, the expiry at minute 30; all draws of jitter are 0.5. Calls
// count from the start to the end of the failure.
//
//	STS answers              until   errors to the       calls   new key after
//	                                 application                 the end
//	HTTP 500                 28:30   none                   21   15 s
//	                         44:30   14:45                  53   15 s
//	                         start   1:32                    8    2 s
//	nothing (hangs)          28:30   none                   17   15 s
//	                         44:30   14:42                  41   15 s
//	reset, broken off,       28:30   none                   21   15 s
//	  garbage, expired key
//	keys of 90 s             28:30   none                   10   30 s
//	keys of 5 s              28:30   none                  171    1 s
//	RequestLimitExceeded     28:30   none                   13   30 s
//	                         44:30   15:00                  29   30 s
//	                         start   2:00                    5   30 s
//	long-lived key rejected  28:30   none                   18   21 s
//	                         44:30   14:51                  50   21 s
//	                         start   1:35                    5    5 s
//
// The clock (TestAClockThatIsSet, TestAMachineThatSlept): set 3 h ahead, every
// key looks expired, so requests fail until it is right again, and not a second
// longer; set 3 h back, renewals come on time by the monotonic clock, and at
// worst COS rejects one key, which is then replaced. After a sleep
// past the expiry the first request waits for one fetch; without requests a
// timer renews the key within a minute.
//
// # A fleet on one account
//
// GetFederationToken and AssumeRole answer 600 calls a second and account.
// TestFleet runs 10,000 sidecars, started within 10 s with a Splay of 20 s, for
// 24 h on keys of 30 min: 541 calls/s at the start, then at most 61 and 8.3 in
// the mean. In an hour without STS they make 396 calls/s at most, 369 after it;
// 476 in the worst hour, from the first refreshes on. Retries set the limit:
// 600/s · 30 s (the mean pause) = 18,000 keys. 10,000 requests that need a first
// key within 10 s are not splayed; the last has its key after 72 s. If COS rejects
// every key of such a fleet, it calls at once and then about every 10 s each: 1,060
// calls/s, of which STS refuses what is above its quota.
//
// AssumeRoleWithWebIdentity answers 20 (on keys of 2 h, refreshed within a
// window of 16 min). 7,000 pods stay below it, at 15 calls/s, if their start is
// spread over 15 min. Started at once, they have their first keys after 7.5 min
// and 38,000 refused calls. Retries in an outage (pods by mean pause) stay
// below 20/s for 600 pods without a key, and for 3,000 whose keys have 25 min
// left. Past that, or for quick roll-outs, let the pods share one issuer: the
// source http.
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
