// Package credcache keeps valid temporary credentials for each scope that a program uses,
// so that signing a request does not wait for STS.
//
// A [Scope] limits what credentials grant: one bucket, object key prefixes, actions. A
// [Source] issues credentials for a scope. A [Cache] calls the source, and a [Provider]
// gives access to the credentials of one scope:
//
//	source, err := credcache.NewSTS(credcache.STSOptions{Pair: credcache.FixedPair(id, key)})
//	…
//	cache := credcache.New(source, credcache.Options{})
//	defer cache.Close()
//	uploads := cache.For(credcache.Scope{
//		Bucket:        "examplebucket-1250000000",
//		Region:        "ap-beijing",
//		AllowPrefixes: []string{"uploads/*"},
//		AllowActions:  []string{"upload"},
//	})
//	creds, err := uploads.Credentials(ctx)
//
// # How credentials are fetched
//
//	           calls                                authenticated by        the credentials grant
//	NewSTS     STS GetFederationToken               long-lived key pair     scope ∩ permissions of the key pair
//	NewRole    STS AssumeRole                       long-lived key pair, or scope ∩ permissions of the role
//	                                                another role
//	NewOIDC    STS AssumeRoleWithWebIdentity        service account token   permissions of the role
//	NewCVM     metadata service of the instance     address of the instance permissions of the role
//	NewHTTP    a credentials server                 bearer token, or none   what the server grants
//	NewFile    –, reads a file every minute         –                       permissions of these credentials
//	NewStatic  –, returns fixed credentials         –                       permissions of these credentials
//
// NewSTS and NewRole send the scope as a policy, which COS enforces. NewHTTP sends the scope
// to the server, which has to enforce it. For the other sources the owner of the role or
// credentials must limit their permissions, or their credentials assume a second role:
//
//	first, err := credcache.NewOIDC(…)
//	callers := credcache.New(first, credcache.Options{})
//	second, err := credcache.NewRole(credcache.RoleOptions{
//		Caller: callers.For(credcache.Scope{Region: "ap-beijing"}), RoleARN: …,
//	})
//	cache := credcache.New(second, credcache.Options{}) // close it before callers
//
// All scopes of cache then share one set of first credentials, and STS counts the renewals as
// AssumeRole. If STS rejects the first credentials, they are fetched again, within the limits
// of [Provider.Invalidate], and the call is repeated once. A [CallerError] says that the first
// source failed; the second one is then called as soon as the first one is.
//
// Sources read secret files (the key pair of [FilePair], tokens) at each fetch, so the next
// fetch uses a rotated secret. There is no fallback from one source to another. Sources
// that use HTTP follow no redirect, read at most 64 KiB of a response and reject credentials
// that have expired or lack a field. Every failure is a *[SourceError]:
//
//	retryable   no connection, timeout, HTTP 408, 429 and 5xx, InternalError and
//	            RequestLimitExceeded of STS, unusable credentials, any problem with a file
//	permanent   any other HTTP status or code of STS, a scope without a valid policy, an
//	            instance with no role or with several
//
// One fetch per scope is in flight at any time. It has a timeout of 10 s, and continues if
// the request that started it ends.
//
// # How credentials are refreshed
//
//	fetched ────────── advisory ───────── mandatory ──── expired
//	  used at once        │  used; one       │  a request waits for   │ *UnavailableError
//	                      │  refresh in the  │  the refresh, at most  │
//	                      │  background      │  1 s, then uses them   │
//
// The advisory refresh is due after 2/3 of the lifetime ± 10 %, and at least 5 min before the
// expiry if the lifetime exceeds 15 min. The mandatory refresh is due 60 s before the expiry, or
// 1/5 of the lifetime if that is less. A timer starts the refresh, so it needs no traffic. Every
// use also compares the wall clock, because timers stop while a machine sleeps.
//
// If a refresh fails, the credentials stay in use until their expiry. The retries follow
// after 1 s, doubling to 60 s, with full jitter. The maximum pause is 60 s (a tenth of
// a lifetime under 10 min), or a fifth of the remaining lifetime (at most 5 min) if that is
// longer.
// RequestLimitExceeded starts at 8 s and ends at 2 min. A permanent error is remembered for
// 5 s to 60 s, so that many requests do not cause many calls. After a Retry-After with 429 or
// 503, the next call follows no earlier (at most 5 min), and up to half as long later: a fleet that
// was throttled does not come back at once. If the credentials expire before, there is one more
// call at half of their remaining lifetime.
//
// An issuer, whose clients have a Cache of their own, sets Options.ForClients: it renews at
// half of the life, before any client refreshes, so that no refresh of a client meets the
// credentials that it already has.
//
// A [Poller], such as the source of [NewFile], is called every minute instead of at the
// advisory refresh, and once more at the expiry. Unchanged credentials are then not a
// failure.
//
// # When COS rejects credentials
//
// One rejection proves nothing, since COS also rejects valid credentials by mistake. So the
// credentials stay in use, and the scope stays ready, until the source returns others.
//
//	COS accepted them in the        the request is sent once more with the same
//	  last 5 s                      credentials; if COS rejects them again, as below
//	any other rejection             the source is called, and the request waits for it
//	the source returns others       they replace the rejected ones
//	the source returns the same     they stay in use, their refresh as scheduled, and the
//	                                client gets the response of COS
//	the source fails                the same, and retries follow as above
//
// Rejections cause at most 5 calls of the source in a row and then one every 10 s, and none
// during the pause after a failure. A late report on older credentials does not affect their
// successor. [Provider.Accepted], [Provider.Invalidate] and [Provider.Replacement] are the
// three calls.
//
// # What a failure costs
//
// TestCache_STSOutage: credentials of 30 min, a request each second, and STS failing from
// minute 15 to 28:30, or to 44:30, or for the first 90 s. The refresh is due at minute 20,
// the expiry at minute 30. All jitter is 0.5. Calls count from the start to the end of the
// failure.
//
//	STS returns              until   errors to the       calls   new credentials
//	                                 application                 after the end
//	HTTP 500                 28:30   none                   21   15 s
//	                         44:30   14:45                  53   15 s
//	                         start   1:32                    8    2 s
//	nothing (hangs)          28:30   none                   17   15 s
//	                         44:30   14:42                  41   15 s
//	reset, truncated,        28:30   none                   21   15 s
//	  garbage, expired
//	credentials of 90 s      28:30   none                   10   30 s
//	credentials of 5 s       28:30   none                  171    1 s
//	RequestLimitExceeded     28:30   none                   13   30 s
//	                         44:30   15:00                  29   30 s
//	                         start   2:00                    5   30 s
//	long-lived key pair      28:30   none                   18   21 s
//	  rejected               44:30   14:51                  50   21 s
//	                         start   1:35                    5    5 s
//
// The clock (TestCache_ClockSet, TestCredentials_MachineSlept): if it is set 3 h ahead, all
// credentials look expired, and requests fail exactly until it is correct again. If it is set
// 3 h back, refreshes come on time by the monotonic clock; at worst COS rejects one set of
// credentials, which is then replaced. After a sleep past the expiry the first request waits
// for one fetch. Without requests a timer renews the credentials within a minute.
//
// # A fleet on one account
//
// GetFederationToken and AssumeRole allow 600 calls per second and account. TestFleet runs
// 10,000 sidecars, started within 10 s with a Splay of 20 s, for 24 h on credentials of 30
// min: 541 calls/s at the start, then at most 61 and 8.3 on average. In an hour without STS
// they make at most 396 calls/s, and 369 after it; 476 in the worst hour, which starts with
// the first refreshes. Retries set the limit: 600/s · 30 s (the average pause) = 18,000
// sidecars. A request does not wait for Splay: if 10,000 sidecars all get a request within
// 10 s, the quota delays the last credentials to 72 s. If COS rejects all credentials of such a fleet, each
// sidecar calls at once and then about every 10 s: 1,060 calls/s, of which STS rejects those
// above its quota.
//
// AssumeRoleWithWebIdentity allows 20 calls per second. With credentials of 2 h, refreshed
// within a window of 16 min, 7,000 pods make 15 calls/s if their start is spread over 15 min.
// If all start together, the last gets its first credentials after 7.5 min, and STS rejects
// 38,000 calls. Retries in an outage (pods divided by the average pause) stay below 20/s for
// 600 pods without credentials, and for 3,000 pods whose credentials last 25 more min. For more pods, or for quick roll-outs,
// let the pods share one issuer: the source http. If the credentials of the web identity only
// assume a second role, they can last longer than those of the scopes: with 2 h, the figures
// above apply, whatever the life and the number of the scopes.
//
// TestFleet_Issuer runs 10,000 sidecars behind two issuers (package issuer): STS gets two calls
// for each scope and renewal, which are at least 0.45 of a lifetime apart, and the issuers get
// 540 requests/s at the start. If they get 503 with Retry-After: 60 in the first minute, they
// come back with 350 requests/s (TestFleet_IssuerThrottled).
//
// # Presets
//
// [ExpandActions] accepts these words in addition to action names. No preset but acl covers
// ACLs, and none covers bucket settings: name those actions one by one.
//
//	read    GetObject HeadObject OptionsObject GetObjectTagging
//	list    GetBucket HeadBucket
//	upload  PutObject PostObject InitiateMultipartUpload UploadPart
//	        UploadPartCopy ListParts CompleteMultipartUpload
//	        AbortMultipartUpload ListMultipartUploads
//	write   upload and AppendObject PutObjectTagging DeleteObjectTagging
//	        PostObjectRestore
//	delete  DeleteObject DeleteMultipleObjects
//	acl     GetObjectACL PutObjectACL
//
// # When not to use it
//
// The cache keeps an entry for every scope until Forget or Close. That suits the few scopes of a
// configuration. Do not use it to issue credentials per end user. A program that signs only
// its own requests, with one set of credentials, can use the credential provider of an
// official SDK.
package credcache
