package signer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
	"time"
)

// s3Period is how long the cache keeps a signing key, in seconds. The key is valid for a day,
// but credentials are replaced more often. Deriving it costs four HMACs.
const s3Period = 60

// s3KeyID holds the inputs of a signing key. The secret is one of them, as in signKeyID.
type s3KeyID struct {
	secretID, secretKey, region string
	minute                      int64 // in Unix seconds
}

func s3KeyIDAt(creds Credentials, region string, now time.Time) s3KeyID {
	return s3KeyID{creds.SecretID, creds.SecretKey, region, now.Unix() / s3Period * s3Period}
}

// period: the day consists of whole minutes, so that the minute determines it.
func (id s3KeyID) period() int64 { return id.minute }

// s3Key is a signing key with the parts that all requests of its day share. It is immutable.
type s3Key struct {
	scope  string    // of Credential
	prefix string    // Authorization up to SignedHeaders
	macs   sync.Pool // of hash.Hash; Reset keeps the key
}

func newS3Key(id s3KeyID) *s3Key {
	day := time.Unix(id.minute, 0).UTC().Format("20060102")
	scope := day + "/" + id.region + "/s3/aws4_request"
	key := deriveS3Key(id.secretKey, day, id.region)
	return &s3Key{
		scope:  scope,
		prefix: "AWS4-HMAC-SHA256 Credential=" + id.secretID + "/" + scope + ", SignedHeaders=",
		macs:   sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
	}
}

// deriveS3Key returns SigningKey.
func deriveS3Key(secretKey, day, region string) []byte {
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{day, region, "s3", "aws4_request"} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}

// appendSignature appends Signature. It may overwrite the unused capacity of stringToSign.
func (k *s3Key) appendSignature(dst, stringToSign []byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(stringToSign)
	digest := mac.Sum(stringToSign)[len(stringToSign):]
	k.macs.Put(mac)
	return hex.AppendEncode(dst, digest)
}
