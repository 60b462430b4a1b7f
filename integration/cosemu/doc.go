// Package cosemu emulates Tencent Cloud Object Storage, STS and the other sources
// of temporary credentials, for tests and for trials without an account. It
// verifies every request.
//
// Start opens four loopback listeners:
//
//   - COS recomputes the signature of every request from the raw bytes, checks the
//     session token, the expiry of the credentials and the signing window, and
//     evaluates the CAM policy that the credentials were issued with. Only then does
//     it read or write objects.
//   - STS checks the request signature for GetFederationToken and AssumeRole (HmacSHA1 in
//     a form; AssumeRole also TC3-HMAC-SHA256 in JSON), and the web identity token for
//     AssumeRoleWithWebIdentity. AssumeRole accepts the credentials of a role, with their
//     session token, if the roles trust and allow it.
//   - The metadata service returns the credentials of the instance's roles, as on a
//     CVM.
//   - The credentials server issues credentials to clients over HTTP, in the JSON of
//     the STS SDK's demos.
//
// All credentials are unique, and restricted to the requested scope and to the
// permissions of the caller or role. The package shares no code with the packages that
// it tests: a bug on both sides would go unnoticed.
//
//	srv, err := cosemu.Start(cosemu.Options{CredentialsDuration: 5 * time.Second})
//	…
//	defer srv.Close()
//	// Dial srv.COSAddr() for every <bucket>.cos.<region>.myqcloud.com. Get
//	// credentials from srv.STSURL() with srv.SecretID() and srv.SecretKey(), from
//	// srv.MetadataURL() or from srv.CredentialsServerURL().
//
// Bodies up to 64 KiB are in memory, longer ones in files of a temporary directory
// that Close removes, so a 1 GiB object costs only a few buffers of memory. All
// state is lost at Close. Do not use the package in production.
//
// # Partly signed requests
//
// A COS signature covers the headers and parameters that it lists. Outside strict
// signature mode, COS accepts any others: if someone adds ?acl to a signed GET, COS
// returns the ACL; if someone adds x-cos-copy-source to a signed PUT, COS makes a
// copy. This package does the same by default. With Options.StrictSignature, which
// the program cosemu sets by default, everything that the mode can protect must be
// signed: host, content-length, content-type, content-md5, range, every x-cos-*
// header and every parameter. Clients that leave x-cos-security-token unsigned, as
// the Node and Java SDKs do, then need credentials without a session token.
//
// # Undocumented behavior
//
// The protocol reference does not define every response. The emulator does this:
//
//   - Unknown or revoked SecretId: 403 InvalidAccessKeyId. Expired credentials: 400
//     ExpiredToken. Signing window over: 403 AccessDenied "Request has expired".
//     Signing window more than 15 minutes ahead: 403 RequestTimeTooSkewed. Session
//     token of other credentials: 403 AccessDenied.
//   - A bucket in another region than the Host: 404 NoSuchBucket, as for a bucket
//     that does not exist.
//   - The header and parameter lists must equal, byte for byte, the sorted names of
//     the request. A listed name that is missing, or repeated more or less often
//     than in the request, is 403 SignatureDoesNotMatch. Host must be in the list.
//   - A raw "+" in the path or in x-cos-copy-source is a blank in the signed string,
//     so a client that signs "+" gets 403 SignatureDoesNotMatch. In the object key
//     of the path it stays a plus.
//   - A form upload is judged as PostObject on its key, by its fields alone: the
//     credentials, the window, the signature of its policy, the token, the
//     conditions. A file without a Content-Type field has the Content-Type of its
//     part. ${filename} is the text after the last slash of the file name. Parts
//     after the file are read and ignored; a truncated form is IncompleteBody.
//   - DELETE Multiple Objects without a Content-MD5: 400 InvalidRequest.
//   - GetBucket, its versions and ListMultipartUploads are judged on the resource
//     <bucket>/<requested prefix> (CAM's list of COS actions gives GetBucket the
//     resource <bucket>/<resource_path>), other bucket calls on <bucket>/,
//     DeleteMultipleObjects as DeleteObject on each key, and copies also as
//     GetObject on the source.
//   - GET of a key that path cleaning turns into "/" is GET Bucket. For that reason
//     the official SDKs reject such keys.
//   - The first parameter that selects a sub-resource decides the action (a comment
//     in the Go SDK): GET /a?acl&uploadId=1 is GetObjectACL. A sub-resource that
//     this resource or method does not have is 501, whatever the policy says, since
//     there is no action to judge.
//   - Every PUT and POST needs a Content-Length; only PUT Object may be chunked.
//   - STS rejects an ExternalId or a ProviderId that the role does not trust with
//     UnauthorizedOperation, an unknown role with ResourceNotFound.RoleNotFound, and
//     a Policy in AssumeRoleWithWebIdentity, whose reference has no such parameter,
//     with UnknownParameter. Long-lived credentials may assume every role; the
//     credentials of a role need Role.TrustedRoles and the permission sts:AssumeRole, and
//     get UnauthorizedOperation otherwise, as do temporary credentials without a role.
//     A session token that is wrong, missing or expired is AuthFailure.TokenFailure.
//     The new credentials may outlive those of the caller, up to the same 12 h.
//   - The metadata service renews the credentials of a role when a tenth of their
//     lifetime is left.
//   - An unknown condition operator or key makes an allow statement fail and a deny
//     statement apply. x-cos-acl is judged as a condition alone, as at COS;
//     PutObjectACL is for ?acl. In a form, the field x-cos-acl is the condition key,
//     and acl is not.
//   - A bucket has all its host names, also those of global acceleration, without a
//     difference between them. GET Service lists the buckets of the region.
//   - Restoring an archived object takes no time. An object without tags has an
//     empty list of tags. x-cos-content-sha1 of an append is the MD5 of its body,
//     which the Go SDK compares it with.
//   - SELECT supports "SELECT * FROM COSObject [LIMIT n]" from CSV to CSV.
//   - A copy keeps the tags of its source unless x-cos-tagging-directive is Replaced.
//
// # S3
//
// COS documents its S3-compatible API by examples of SDKs alone. Public reports show:
// PathStyleDomainForbidden for a bucket in the path (FAQ 436/102489), InvalidRequest for
// DeleteObjects without Content-MD5, and that aws-chunked bodies are refused with status
// 400. The rest follows Amazon's reference, and these are assumptions:
//
//   - The code NotImplemented for aws-chunked bodies: reports quote it from a similar
//     service. InvalidToken for the session token of other credentials.
//   - A region other than the bucket's in the credential scope is refused. COS is
//     reported to accept it.
//   - Response headers that begin with x-cos- begin with x-amz- instead, but for the
//     request ID, which has both names, the trace ID, the CRC-64 and those of appends.
//   - A raw "+" in the path is a plus, as at S3. In x-amz-copy-source it is a blank.
//   - In a presigned URL, parameters that begin with x-amz- count as headers.
//   - Conditions of policies see an x-amz-* header as the x-cos-* header of the same name.
//   - PUT Object may be chunked, as in COS's own dialect.
//   - Storage classes keep the names that they were stored with.
//   - A form is checked as at S3, with the fields of its signature. Its field acl is not
//     the condition cos:x-cos-acl of policies, as in COS's own forms.
//
// Each object is listed as its only version. The following get 501 NotImplemented after
// signature and policy are checked: x-cos-forbid-overwrite, single grants in headers of
// ?acl, other SQL, and bucket configuration.
package cosemu
