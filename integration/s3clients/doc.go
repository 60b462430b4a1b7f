// Package s3clients tests cosproxy and its emulator of COS with clients of S3. It is a
// module of its own, so that cosproxy does not depend on these clients.
package s3clients
