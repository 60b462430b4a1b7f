package signer

import (
	"maps"
	"sync/atomic"
)

// maxKeys limits a cache. It holds one key for each set of credentials used in the current
// period.
const maxKeys = 128

// keyID holds all inputs of a derived key.
type keyID interface {
	comparable
	// period returns when the key is in use. Keys of another period are dropped, so that the
	// cache does not keep those of earlier credentials.
	period() int64
}

// keyCache caches derived keys. Readers load one pointer. Writers publish a new map. The zero
// value is empty.
type keyCache[ID keyID, Key any] struct {
	current atomic.Pointer[map[ID]*Key]
}

// get returns the key of id. derive makes it if the cache does not have it.
func (c *keyCache[ID, Key]) get(id ID, derive func(ID) *Key) *Key {
	old := c.current.Load()
	if old != nil {
		if key, ok := (*old)[id]; ok {
			return key
		}
	}
	key := derive(id)
	next := map[ID]*Key{}
	if old != nil && len(*old) < maxKeys {
		maps.Copy(next, *old)
		maps.DeleteFunc(next, func(other ID, _ *Key) bool { return other.period() != id.period() })
	}
	next[id] = key
	// If another writer wins the race, key is still correct. The next miss caches it.
	c.current.CompareAndSwap(old, &next)
	return key
}
