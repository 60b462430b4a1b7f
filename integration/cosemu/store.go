package cosemu

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// store holds the buckets. The set of buckets never changes.
type store struct {
	spool
	buckets map[string]*bucket
}

// ErrBucketName is the error of Start for an invalid name in Options.Buckets.
var ErrBucketName = errors.New("not a bucket name")

// bucketName is the syntax of a bucket name with its APPID.
var bucketName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9]+$`)

func newStore(dir string, names []string) (*store, error) {
	s := &store{spool: spool{dir: dir}, buckets: map[string]*bucket{}}
	for _, name := range names {
		if !bucketName.MatchString(name) {
			return nil, fmt.Errorf("cosemu: %w: %q; write it with its APPID, such as examplebucket-1250000000", ErrBucketName, name)
		}
		s.buckets[name] = &bucket{name: name, objects: map[string]*object{}, uploads: map[string]*upload{}}
	}
	return s, nil
}

type bucket struct {
	name string

	mu      sync.RWMutex
	objects map[string]*object
	uploads map[string]*upload
}

// object is an immutable object. A change replaces it.
type object struct {
	key        string
	etag       string // quoted
	modified   time.Time
	meta       metadata
	grants     []grantXML // in addition to those of x-cos-acl in meta
	tags       []tagXML
	restored   time.Time // the object can be read until then; zero if it was not restored
	appendable bool      // created by an append
	body       *blob
}

// get returns the object and an open reader of its body, or nil. It opens the body
// under the lock, so that no overwrite can remove the file first.
func (b *bucket) get(key string) (*object, blobReader, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	o := b.objects[key]
	if o == nil {
		return nil, blobReader{}, nil
	}
	body, err := o.body.open()
	return o, body, err
}

// stat returns the object, or nil.
func (b *bucket) stat(key string) *object {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.objects[key]
}

// put publishes o in place of an object with the same key.
func (b *bucket) put(o *object) {
	b.mu.Lock()
	old := b.objects[o.key]
	b.objects[o.key] = o
	b.mu.Unlock()
	if old != nil {
		old.body.remove()
	}
}

// replace publishes o in place of old, which is nil if there was none. It returns
// false and does nothing if another object has been published since.
func (b *bucket) replace(old, o *object) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects[o.key] != old {
		return false
	}
	b.objects[o.key] = o
	if old != nil && old.body != o.body {
		old.body.remove()
	}
	return true
}

// change replaces the object by a copy, with the same body, that edit has modified.
func (b *bucket) change(key string, edit func(*object) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.objects[key]
	if o == nil {
		return noSuchKey()
	}
	changed := *o
	if err := edit(&changed); err != nil {
		return err
	}
	b.objects[key] = &changed
	return nil
}

// remove deletes the object, if it exists.
func (b *bucket) remove(key string) {
	b.mu.Lock()
	old := b.objects[key]
	delete(b.objects, key)
	b.mu.Unlock()
	if old != nil {
		old.body.remove()
	}
}

// sorted returns the objects whose keys keep selects, by key in byte order.
func (b *bucket) sorted(keep func(key string) bool) []*object {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var objects []*object
	for key, o := range b.objects {
		if keep(key) {
			objects = append(objects, o)
		}
	}
	slices.SortFunc(objects, func(a, b *object) int { return strings.Compare(a.key, b.key) })
	return objects
}

// contentETag is the ETag of an object or part that was uploaded in one piece.
func contentETag(b *blob) string { return `"` + hex.EncodeToString(b.md5[:]) + `"` }

// Object is an object in the store of the emulator, for tests.
type Object struct {
	Key string
	// Size is in bytes.
	Size int64
	// ETag is the ETag header, with quotes.
	ETag string
	// Header is the metadata of the object, including x-cos-acl. The x-cos-* names are
	// in lower case: index it and do not use Get.
	Header http.Header

	open func() (blobReader, error)
}

// Open returns the body of the object. It fails if the object has been overwritten or
// deleted.
func (o Object) Open() (io.ReadCloser, error) { return o.open() }

// Object returns the object with that key, and whether it exists.
func (s *Server) Object(bucket, key string) (Object, bool) {
	b := s.store.buckets[bucket]
	if b == nil {
		return Object{}, false
	}
	o := b.stat(key)
	if o == nil {
		return Object{}, false
	}
	return o.snapshot(), true
}

// Objects returns all objects of a bucket, by key in byte order.
func (s *Server) Objects(bucket string) []Object {
	b := s.store.buckets[bucket]
	if b == nil {
		return nil
	}
	var all []Object
	for _, o := range b.sorted(func(string) bool { return true }) {
		all = append(all, o.snapshot())
	}
	return all
}

func (o *object) snapshot() Object {
	return Object{
		Key: o.key, Size: o.body.size, ETag: o.etag,
		Header: o.meta.header(), open: o.body.open,
	}
}
