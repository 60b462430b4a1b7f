package signer

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"hash"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// windowStep is how long one window serves, in seconds: within it every
	// signature by one key has the same KeyTime, and so the same SignKey.
	windowStep = 60
	// backdate is how long before its minute a window begins, in seconds, so
	// that a signature is 60 to 120 s old when it is made. A clock that runs
	// ahead of COS by less is forgiven; the Python SDK backdates by 60 s for
	// the same reason. Beyond 15 minutes COS refuses anyway
	// (RequestTimeTooSkewed).
	backdate = 60
	// windowLength is the time from start to end, in seconds: the default of
	// the Go and Java SDKs. COS looks at it when a request arrives, so it
	// limits how long an upload may wait, not how long it may take.
	windowLength = 3600
	// maxSignKeys bounds the cache. One minute sees one SignKey per key in
	// use, and two for a key that is being replaced.
	maxSignKeys = 128
)

// window is KeyTime in Unix seconds. Docs and SDKs use one window as both
// q-sign-time and q-key-time.
type window struct{ start, end int64 }

// windowAt returns the window for a signature made at now. It ends no later
// than the key, in whole seconds rounded down, because a signature by a
// temporary key is worth nothing after it (436/10687).
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

// signKey is a SignKey and what goes with it unchanged into every request of
// its window. It is immutable.
type signKey struct {
	keyTime string
	prefix  string    // Authorization up to the header list
	macs    sync.Pool // of hash.Hash; Reset keeps the key schedule
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

// deriveSignKey returns SignKey, as the hex string that it is used as.
func deriveSignKey(secretKey, keyTime string) string {
	mac := hmac.New(sha1.New, []byte(secretKey))
	mac.Write([]byte(keyTime))
	return hex.EncodeToString(mac.Sum(nil))
}

// appendSignature appends Signature. It may write to the spare capacity of
// stringToSign.
func (k *signKey) appendSignature(dst, stringToSign []byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(stringToSign)
	digest := mac.Sum(stringToSign)[len(stringToSign):]
	k.macs.Put(mac)
	return hex.AppendEncode(dst, digest)
}

// signKeyID is everything that a SignKey depends on. The secret belongs to it:
// after a corrected secret the same id must not meet the old SignKey.
type signKeyID struct {
	secretID, secretKey string
	window
}

// signKeys caches SignKeys. A reader loads one pointer; a writer publishes a
// new map. The zero value is empty.
type signKeys struct {
	current atomic.Pointer[map[signKeyID]*signKey]
}

func (s *signKeys) get(id signKeyID) *signKey {
	old := s.current.Load()
	if old != nil {
		if key, ok := (*old)[id]; ok {
			return key
		}
	}
	key := newSignKey(id)
	next := map[signKeyID]*signKey{}
	if old != nil && len(*old) < maxSignKeys {
		maps.Copy(next, *old)
		maps.DeleteFunc(next, func(other signKeyID, _ *signKey) bool { return other.start != id.start })
	}
	next[id] = key
	// Whoever loses this race has a good key in hand, and caches it at its
	// next miss.
	s.current.CompareAndSwap(old, &next)
	return key
}
