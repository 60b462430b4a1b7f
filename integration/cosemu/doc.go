// Package cosemu is a local Tencent Cloud Object Storage that believes nothing,
// with all the services that give out keys for it, for tests and for trying
// things out without an account.
//
// Start opens four loopback listeners. The COS side recomputes the signature of
// every request from the bytes on the wire, checks the session token, the key's
// expiry and the signing window, and evaluates the CAM policy that the key was
// issued with; only then does it touch the store. STS checks the SDK's HmacSHA1
// request signature for GetFederationToken and AssumeRole, and the web identity
// token for AssumeRoleWithWebIdentity. The metadata service has the keys of the
// instance's roles, as on a CVM. The key server is an issuer for a fleet, in the
// JSON of the STS SDK's demos. Each issues keys that nobody else has, limited to
// what was asked for and to what its caller or role may do. None of this shares
// code with the packages it is used to test, or a bug on both sides would pass.
//
//	srv, err := cosemu.Start(cosemu.Options{KeyLife: 5 * time.Second})
//	…
//	defer srv.Close()
//	// dial srv.COSAddr() for every <bucket>.cos.<region>.myqcloud.com,
//	// ask srv.STSURL() for keys with srv.SecretID() and srv.SecretKey(), or
//	// srv.MetadataURL() and srv.KeyServerURL().
//
// Bodies up to 64 KiB are kept in memory, longer ones in files of a temporary
// directory that Close removes, so a 1 GiB object costs a few buffers of
// memory. Nothing survives Close.
//
// # Half-signed requests
//
// A COS signature covers the headers and parameters that it lists. Outside strict
// signature mode, COS takes the rest of a request as it comes: a signed GET to
// which someone has added ?acl reads the ACL, a signed PUT to which someone has
// added x-cos-copy-source is a copy. So does this server by default. With
// Options.StrictSignature, or by default in the program cosemu, all that the mode
// can protect must be signed: host, content-length, content-type, content-md5,
// range, every x-cos-* header and every parameter. Clients that leave
// x-cos-security-token unsigned, as the Node and Java SDKs do, then need a key
// without a token.
//
// # Where the documents are silent
//
// The protocol reference leaves some answers open; these are the choices made
// here.
//
//   - An unknown or revoked SecretId is 403 InvalidAccessKeyId, a temporary key
//     past its expiry 400 ExpiredToken, a signing window that is over 403
//     AccessDenied "Request has expired", one that starts more than 15 minutes
//     ahead 403 RequestTimeTooSkewed, a token that does not belong to the key
//     403 AccessDenied.
//   - A bucket in another region than the Host says is 404 NoSuchBucket, as is
//     one that does not exist.
//   - The header and parameter lists must equal, byte for byte, what the
//     request's own headers and parameters give when sorted: a listed name that
//     is absent, or repeated more often or less often than on the wire, is
//     403 SignatureDoesNotMatch. Host must be in the list.
//   - A raw "+" in the path or in x-cos-copy-source is a blank in what is signed,
//     so that a client that signs it as "+" gets 403 SignatureDoesNotMatch. As the
//     object key of the path it stays a plus.
//   - A form upload is judged as PostObject on its key, by its fields alone: the
//     key, the window, the signature of its policy, the token, the conditions. A
//     file without a Content-Type field has that of its part. ${filename} is what
//     follows the last slash of the file's name. What comes behind the file is
//     read and has no meaning; a form that breaks off is IncompleteBody.
//   - DELETE Multiple Objects without a Content-MD5 is 400 InvalidRequest.
//   - GetBucket, its versions and ListMultipartUploads are judged on the resource
//     <bucket>/<prefix asked for> (CAM's list of COS actions gives GetBucket the
//     resource <bucket>/<resource_path>), other bucket calls on <bucket>/,
//     DeleteMultipleObjects as DeleteObject on each key, copies as GetObject on
//     the source besides the write.
//   - GET of a key that path-cleans to "/" is GET Bucket, the trap because of
//     which the official SDKs refuse such keys.
//   - The first parameter that selects a sub-resource decides what a request is
//     (a comment in the Go SDK): GET /a?acl&uploadId=1 is GetObjectACL. One that
//     selects nothing on this resource or with this method is 501, whatever the
//     policy says, since there is no action to judge.
//   - Every PUT and POST needs a Content-Length; only PUT Object may be chunked.
//   - STS refuses an ExternalId or a ProviderId that the role does not trust with
//     UnauthorizedOperation, a role that is not there with
//     ResourceNotFound.RoleNotFound, a Policy for AssumeRoleWithWebIdentity,
//     whose reference knows none, with UnknownParameter. Every long-lived key may
//     assume every role. AssumeRole, too, takes no temporary key.
//   - The metadata service renews a role's key when a tenth of its life is left.
//   - A condition operator or key that the emulator does not know makes an
//     allow statement fail and a deny statement apply. x-cos-acl is judged as a
//     condition alone, as COS does it: PutObjectACL is for ?acl. In a form the
//     field x-cos-acl is that condition's key, and acl is not.
//   - A bucket answers to all its names, those of global acceleration too, with
//     no difference between them. GET Service lists the buckets of the region.
//   - Restoring an archived object takes no time. An object without tags has an
//     empty list of them. x-cos-content-sha1 of an append is the MD5 of its
//     body, which the Go SDK compares it with.
//   - SELECT is "SELECT * FROM COSObject [LIMIT n]" from CSV to CSV.
//
// Not here: versions of objects (each is listed as its only one),
// x-cos-forbid-overwrite, single grants in headers of ?acl, other SQL,
// bucket configuration (all 501 NotImplemented once signature and policy are in
// order), and keys surviving a restart. It is no server for production use.
package cosemu
