package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/credcache"
	"cosproxy/proxy"
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

// probes in the order of how much they show: responses to HEAD have no body, and
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
func probeFor(r *route) probe {
	key, listed, wild := r.AllowPrefixes[0], "", false
	if i := slices.IndexFunc(r.AllowPrefixes, func(p string) bool { return strings.HasSuffix(p, "*") }); i >= 0 {
		listed, wild = strings.CutSuffix(r.AllowPrefixes[i], "*")
		key = listed + "cosproxy-check-" + rand.Text()
	}
	for _, p := range probes {
		p.key = key
		listing := p.action == "name/cos:GetBucket"
		if listing {
			p.key = listed
		}
		if (slices.Contains(r.actions, p.action) || slices.Contains(r.actions, "name/cos:*")) && (wild || !listing) {
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

// clock learns from the Date of responses how far this machine's clock is off.
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

// fault is what is wrong, in plain words. The zero value is nothing.
type fault struct {
	// Code is one of clock, no_credentials, dns, tls, unreachable, not_cos, region,
	// bucket, credentials_rejected, signature, denied, cos_error.
	Code    string `json:"code,omitempty"`
	Problem string `json:"problem,omitempty"`
	Advice  string `json:"advice,omitempty"` // what to change
}

const (
	// noticeableOffset in seconds is worth a word.
	noticeableOffset = 60
	// refusedOffset in seconds is beyond what COS accepts (COS document "Error
	// codes", RequestTimeTooSkewed).
	refusedOffset = 15 * 60
)

func clockText(offset int) string {
	if offset < 0 {
		return fmt.Sprintf("this machine's clock is %d s behind", -offset)
	}
	return fmt.Sprintf("this machine's clock is %d s ahead", offset)
}

// clockFault says by how much the clock is off, where that is known.
func (c *routeCheck) clockFault(who string) fault {
	problem := who + " refused the time of the request"
	if c.report.ClockOffset != nil {
		problem += ": " + clockText(*c.report.ClockOffset)
	}
	return fault{"clock", problem, "set this machine's clock right, best by NTP"}
}

// keyFault says why there is no key, and the request id of the refusal.
func (c *routeCheck) keyFault(err error) (f fault, requestID string) {
	var source *credcache.SourceError
	var none *credcache.UnavailableError
	switch {
	case errors.As(err, &source) && source.Code == "AuthFailure.SignatureExpire":
		return c.clockFault("STS"), source.RequestID
	case errors.As(err, &source):
		problem := source.Message
		if source.Code != "" {
			problem = source.Code + ": " + problem
		}
		return fault{"no_credentials", problem, cmp.Or(source.Hint, "check the settings of source "+c.route.Source)}, source.RequestID
	case errors.As(err, &none):
		err = none.Err
	}
	return fault{"no_credentials", err.Error(), "check the settings of source " + c.route.Source}, ""
}

// requestFault says why the request to COS failed.
func (c *routeCheck) requestFault(p probe, err error) fault {
	var refused *cos.ErrorResponse
	if errors.As(err, &refused) {
		return c.refusal(p, refused)
	}
	host, connectTo := c.report.Endpoint, variable("ConnectTo")
	where := fmt.Sprintf("check %s and %s", c.route.names["Region"], variable("Endpoint"))
	way := where + ", the network, and HTTPS_PROXY"
	if c.cfg.ConnectTo != "" { // which goes past any HTTP proxy
		host, where = connectTo+"="+c.cfg.ConnectTo, "check "+connectTo
		way = where + " and the network"
	}
	var (
		name *net.DNSError
		cert *tls.CertificateVerificationError
		tlsH tls.RecordHeaderError
		wait net.Error
	)
	switch {
	case errors.As(err, &name):
		return fault{"dns", fmt.Sprintf("the name %s cannot be resolved", name.Name), where + ", and DNS on this machine"}
	case errors.As(err, &cert):
		return fault{"tls", fmt.Sprintf("the certificate at %s is not trusted: %v", host, cert.Err),
			"if it is of a private authority, name its certificate in " + variable("CAFile") + "; else something intercepts the connection"}
	case errors.As(err, &tlsH), errors.Is(err, http.ErrSchemeMismatch):
		return fault{"tls", host + " does not speak TLS", where}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &wait) && wait.Timeout():
		return fault{"unreachable", host + " did not answer in time", way}
	}
	return fault{"unreachable", fmt.Sprintf("the connection to %s failed: %v", host, unquoted(err)), way}
}

// refusal says what an error response of COS means; it is no fault if the probe
// expects it. Responses to HEAD have a status alone.
func (c *routeCheck) refusal(p probe, e *cos.ErrorResponse) fault {
	r, status := c.route, e.Response.StatusCode
	off := c.report.ClockOffset != nil && (*c.report.ClockOffset >= refusedOffset || *c.report.ClockOffset <= -refusedOffset)
	rejected := proxy.RejectionCode(e.Code, e.Message)
	bucketRegion := e.Response.Header.Get("X-Cos-Bucket-Region")
	switch {
	case e.Response.Header.Get("X-Cos-Request-Id") == "":
		return fault{"not_cos", fmt.Sprintf("the answer %d does not come from COS", status),
			fmt.Sprintf("check %s, %s, and any HTTP proxy on the way", variable("Endpoint"), variable("ConnectTo"))}
	case rejected == "RequestTimeTooSkewed", off && status == http.StatusForbidden:
		return c.clockFault("COS")
	case bucketRegion != "" && bucketRegion != r.Region:
		return fault{"region", fmt.Sprintf("bucket %s is in %s, not in %s", r.Bucket, bucketRegion, r.Region),
			fmt.Sprintf("set %s=%s", r.names["Region"], bucketRegion)}
	case p.passed(e) && rejected == "":
		return fault{}
	case e.Code == "NoSuchBucket", status == http.StatusNotFound && e.Code == "":
		return fault{"bucket", fmt.Sprintf("COS has no bucket %s in %s", r.Bucket, r.Region),
			fmt.Sprintf("check %s and %s: a bucket is known in its own region only", r.names["Bucket"], r.names["Region"])}
	case rejected != "":
		return fault{"credentials_rejected", fmt.Sprintf("COS rejected key %s: %s: %s", c.report.SecretID, e.Code, e.Message),
			"if the key was not issued just now, get a new one; else its owner may have been disabled, or is of another site of Tencent Cloud"}
	case e.Code == "SignatureDoesNotMatch":
		return fault{"signature", "COS computed another signature for key " + c.report.SecretID,
			"check that SecretId and SecretKey belong together, and that nothing on the way changes requests"}
	case status == http.StatusForbidden && (e.Code == "AccessDenied" || e.Code == ""):
		return c.denied(p, e)
	}
	return fault{"cos_error", strings.TrimSuffix(fmt.Sprintf("COS answered %d %s: %s", status, e.Code, e.Message), " : "),
		"look the code up in the COS document \"Error codes\", or ask COS with the request id"}
}

func (c *routeCheck) denied(p probe, e *cos.ErrorResponse) fault {
	owner := "the owner of the key"
	switch c.route.Source {
	case "sts":
		owner = "the user whose pair asks STS (" + variable("SecretID") + ")"
	case "role":
		owner = "the role in " + variable("RoleARN")
	case "oidc":
		owner = "the role in " + variable("TKERoleARN")
	case "cvm":
		owner = "the role of the instance"
	}
	said := ""
	if e.Message != "" {
		said = ", saying " + strconv.Quote(e.Message)
	}
	return fault{"denied", fmt.Sprintf("COS denies %s on %s to key %s%s", p.action, c.route.Bucket, c.report.SecretID, said),
		fmt.Sprintf("in CAM, allow it to %s: a temporary key can do what both its owner and the route allow. "+
			"Check also the bucket's own policy, and that %s is yours", owner, c.route.names["Bucket"])}
}
