package main

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/credcache"
)

// probe is a request that changes nothing and shows whether a key works.
type probe struct {
	action string // of COS
	key    string // object key, or the prefix to list
	expect string // the error code that shows success too
	note   string // what success leaves open
	send   func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error)
}

const (
	headObject = "name/cos:HeadObject"
	// untried is the note of a request that the route does not allow. COS
	// refuses it, which shows that it knows the key.
	untried = "COS accepted the key. No harmless request would show whether it allows the configured actions"
)

// noUpload is the id of an upload that does not exist.
const noUpload = "cosproxy-check"

// probes in the order of what they tell: the answers to HEAD have no body, and
// so no error code. A DELETE of an object is not among them, since it leaves a
// mark in a versioned bucket, nor is any upload.
var probes = []probe{
	{action: "name/cos:GetBucket", send: func(ctx context.Context, c *cos.Client, prefix string) (*cos.Response, error) {
		_, resp, err := c.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: prefix, MaxKeys: 1})
		return resp, err
	}},
	{action: "name/cos:GetObject", expect: "NoSuchKey", send: func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error) {
		resp, err := c.Object.Get(ctx, key, &cos.ObjectGetOptions{Range: "bytes=0-0"})
		if resp != nil {
			_, _ = io.CopyN(io.Discard, resp.Body, 1) // the status has said it all
			resp.Body.Close()
		}
		return resp, err
	}},
	{action: "name/cos:ListParts", expect: "NoSuchUpload", send: func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error) {
		_, resp, err := c.Object.ListParts(ctx, key, noUpload, nil)
		return resp, err
	}},
	{action: "name/cos:AbortMultipartUpload", expect: "NoSuchUpload", send: func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error) {
		return c.Object.AbortMultipartUpload(ctx, key, noUpload)
	}},
	{action: "name/cos:HeadBucket", send: func(ctx context.Context, c *cos.Client, _ string) (*cos.Response, error) {
		return c.Bucket.Head(ctx)
	}},
	{action: headObject, note: "the answer to HEAD does not tell an absent object from an absent bucket", send: func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error) {
		return c.Object.Head(ctx, key, nil)
	}},
}

// probeFor chooses the first probe that the route allows. It asks for a key
// that is surely absent, or where there is none, for one that is named.
func probeFor(r *routeConfig) probe {
	allowed, _ := credcache.ExpandActions(r.Actions) // was checked with the settings
	key, listed, wild := r.Prefixes[0], "", false
	if i := slices.IndexFunc(r.Prefixes, func(p string) bool { return strings.HasSuffix(p, "*") }); i >= 0 {
		listed, wild = strings.CutSuffix(r.Prefixes[i], "*")
		key = listed + "cosproxy-check-" + rand.Text()
	}
	for _, p := range probes {
		p.key = key
		listing := p.action == "name/cos:GetBucket"
		if listing {
			p.key = listed
		}
		if (slices.Contains(allowed, p.action) || slices.Contains(allowed, "name/cos:*")) && (wild || !listing) {
			return p
		}
	}
	p := probes[0]
	p.key, p.note = listed, untried
	return p
}

// passed reports whether this error of COS is how the request should end.
func (p probe) passed(e *cos.ErrorResponse) bool {
	switch {
	case e.Code == "InvalidObjectState", e.Code == "InvalidRange":
		return true // an archived or an empty object: the key may read it
	case p.note == untried:
		return e.Code == "AccessDenied"
	case p.action == headObject:
		return e.Response.StatusCode == http.StatusNotFound
	}
	return p.expect != "" && e.Code == p.expect
}

// clock learns from the Date of answers how far this machine's clock is off.
type clock struct {
	next   http.RoundTripper
	offset atomic.Pointer[time.Duration] // how far ahead this machine is; nil: unknown
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		offset := time.Since(date)
		c.offset.Store(&offset)
	}
	return resp, nil
}

func (c *clock) seconds() *int {
	offset := c.offset.Load()
	if offset == nil {
		return nil
	}
	s := int(offset.Truncate(time.Second) / time.Second)
	return &s
}
