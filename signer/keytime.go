package signer

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"hash"
	"strconv"
	"sync"
	"time"
)

const (
	// windowStep is how long one window is used, in seconds. During this time all signatures by
	// the same credentials have the same KeyTime, and so the same SignKey.
	windowStep = 60
	// backdate is how long before its minute a window starts, in seconds. So a new signature is
	// already 60 to 120 s old, and remains valid if the clock is ahead of COS by less. The
	// Python SDK backdates by 60 s for the same reason. COS rejects clocks that are off by more
	// than 15 minutes anyway (RequestTimeTooSkewed).
	backdate = 60
	// windowLength is the time from start to end, in seconds: the default of the Go and Java
	// SDKs. COS checks it when a request arrives, so it does not limit the duration of an
	// upload.
	windowLength = 3600
)

// window is KeyTime in Unix seconds. Documents and SDKs use the same window as q-sign-time and
// q-key-time.
type window struct{ start, end int64 }

// windowAt returns the window for a signature made at now. It ends at the expiry, rounded down
// to whole seconds, if that is earlier: a signature is invalid after the expiry of its
// credentials (436/10687).
func windowAt(now, expires time.Time) window {
	minute := now.Unix() / windowStep * windowStep
	w := window{minute - backdate, minute - backdate + windowLength}
	if !expires.IsZero() {
		w.end = min(w.end, expires.Unix())
	}
	return w
}

func (w window) keyTime() string {
	return strconv.FormatInt(w.start, 10) + ";" + strconv.FormatInt(w.end, 10)
}

// signKey is a SignKey with the parts that all requests of its window share. It is immutable.
type signKey struct {
	keyTime string
	prefix  string    // Authorization up to the header list
	macs    sync.Pool // of hash.Hash; Reset keeps the key
}

func newSignKey(id signKeyID) *signKey {
	keyTime := id.keyTime()
	key := []byte(deriveSignKey(id.secretKey, keyTime))
	return &signKey{
		keyTime: keyTime,
		prefix: "q-sign-algorithm=sha1&q-ak=" + id.secretID +
			"&q-sign-time=" + keyTime + "&q-key-time=" + keyTime + "&q-header-list=",
		macs: sync.Pool{New: func() any { return hmac.New(sha1.New, key) }},
	}
}

// deriveSignKey returns SignKey as a hex string, the form in which it signs.
func deriveSignKey(secretKey, keyTime string) string {
	mac := hmac.New(sha1.New, []byte(secretKey))
	mac.Write([]byte(keyTime))
	return hex.EncodeToString(mac.Sum(nil))
}

// appendSignature appends Signature. It may overwrite the unused capacity of stringToSign.
func (k *signKey) appendSignature(dst, stringToSign []byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(stringToSign)
	digest := mac.Sum(stringToSign)[len(stringToSign):]
	k.macs.Put(mac)
	return hex.AppendEncode(dst, digest)
}

// signKeyID holds the inputs of a SignKey. The secret is one of them: after a correction of the
// secret, the same id must not use the old SignKey.
type signKeyID struct {
	secretID, secretKey string
	window
}

// period: SignKeys of an earlier minute are not used again.
func (id signKeyID) period() int64 { return id.start }
