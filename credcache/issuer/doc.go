// Package issuer is an HTTP handler that issues temporary COS credentials to many clients. It
// is the server of the source credcache.NewHTTP: only the process of the issuer may call STS,
// and every client gets credentials for the scope that it requests.
//
//	GET /credentials?action=name/cos:GetObject&action=…&bucket=examplebucket-1250000000&prefix=a/*&prefix=…&region=ap-beijing
//	Authorization: Bearer …
//
//	200 {"credentials":{"tmpSecretId":"…","tmpSecretKey":"…","sessionToken":"…"},"startTime":…,"expiredTime":…}
//	403 {"error":{"code":"ScopeNotAllowed","message":"…"}}
//
// # What a request passes
//
//	path and method    GET /credentials                                404, 405
//	caller             a token of Tokens, or a JWT of a Kubernetes     401, 503
//	                   service account
//	parameters         bucket and region once, prefix and action       400
//	                   at least once, no others
//	route              one that lists the caller and contains the      403
//	                   scope (credcache.Scope.Contains)
//	number of scopes   at most MaxScopes at once for each caller       429
//	credentials        of exactly this scope, from the Cache           503
//
// There are no defaults: a missing parameter never means everything. Two requests for equal
// scopes get the same credentials, whatever their callers, so a fleet with one scope costs one
// call of STS for each renewal.
//
// # Lifetimes
//
// Set Options.ForClients of each Cache: credentials are then renewed at half of their life,
// before any client that follows the rules of package credcache refreshes them. A scope is
// forgotten when all credentials that were issued for it have expired.
//
// # When not to use it
//
// The routes and their callers are fixed. Do not use it to issue credentials for end users,
// or with a source that does not limit its credentials to the scope.
package issuer
