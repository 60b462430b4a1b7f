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

// probe is a request that changes nothing and shows whether credentials work.
type probe struct {
	action string // COS action
	key    string // object key, or the prefix to list
	expect string // error code that means success, too
	note   string // limitation of a success
	send   func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error)
}

const (
	headObject = "name/cos:HeadObject"
	// permissionUntested is the note of a request that the route does not allow. COS
	// denies it, which shows that it accepts the credentials.
	permissionUntested = "COS accepted the credentials. No harmless request can test the permissions for the configured actions"
)

// noUpload is the ID of an upload that does not exist.
const noUpload = "cosproxy-check"

// probes lists the probes, the most informative first. Responses to HEAD have no body and
// so no error code. There are no uploads, and no DELETE of an object, since it creates a
// delete marker in a versioned bucket.
var probes = []probe{
	{action: "name/cos:GetBucket", send: func(ctx context.Context, c *cos.Client, prefix string) (*cos.Response, error) {
		_, resp, err := c.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: prefix, MaxKeys: 1})
		return resp, err
	}},
	{action: "name/cos:GetObject", expect: "NoSuchKey", send: func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error) {
		resp, err := c.Object.Get(ctx, key, &cos.ObjectGetOptions{Range: "bytes=0-0"})
		if resp != nil {
			_, _ = io.CopyN(io.Discard, resp.Body, 1) // only the status matters
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
	{action: headObject, note: "the response to HEAD does not distinguish a missing object from a missing bucket", send: func(ctx context.Context, c *cos.Client, key string) (*cos.Response, error) {
		return c.Object.Head(ctx, key, nil)
	}},
}

// probeFor returns the first probe that the route allows. Its object key does not exist
// unless the route allows exact keys only.
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
	p.key, p.note = listed, permissionUntested
	return p
}

// passed reports whether this error of COS means that the probe succeeded.
func (p probe) passed(e *cos.ErrorResponse) bool {
	switch {
	case e.Code == "InvalidObjectState", e.Code == "InvalidRange":
		return true // reading is allowed, but the object is archived or empty
	case p.note == permissionUntested:
		return e.Code == "AccessDenied"
	case p.action == headObject:
		return e.Response.StatusCode == http.StatusNotFound
	}
	return p.expect != "" && e.Code == p.expect
}

// clock is a transport that measures the clock offset from the Date of responses.
type clock struct {
	next   http.RoundTripper
	offset atomic.Pointer[time.Duration] // how far the clock of this machine is ahead; nil if unknown
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

// fault is a problem that a check found. The zero value means none.
type fault struct {
	// Code is one of clock, no_credentials, role_trust, dns, tls, unreachable, not_cos, region,
	// bucket, credentials_rejected, signature, denied, cos_error, jwks.
	Code    string `json:"code,omitempty"`
	Problem string `json:"problem,omitempty"`
	Advice  string `json:"advice,omitempty"` // what to change
}

const (
	// noticeableOffset is the clock offset that is reported, in seconds.
	noticeableOffset = 60
	// rejectedOffset is the clock offset that COS rejects, in seconds (COS document
	// "Error codes", RequestTimeTooSkewed).
	rejectedOffset = 15 * 60
)

func clockText(offset int) string {
	if offset < 0 {
		return fmt.Sprintf("this machine's clock is %d s behind", -offset)
	}
	return fmt.Sprintf("this machine's clock is %d s ahead", offset)
}

// clockFault describes a request that server rejected because of its time.
func (c *routeCheck) clockFault(server string) fault {
	problem := server + " rejected the time of the request"
	if c.report.ClockOffset != nil {
		problem += ": " + clockText(*c.report.ClockOffset)
	}
	return fault{"clock", problem, "correct the clock of this machine, preferably with NTP"}
}

// credentialsFault explains a failed fetch, and returns the request ID of the source.
func (c *routeCheck) credentialsFault(err error) (f fault, requestID string) {
	var source *credcache.SourceError
	var unavailable *credcache.UnavailableError
	var caller *credcache.CallerError
	chained := c.cfg.Source.chained(c.route.Source)
	switch {
	case errors.As(err, &source) && chained && deniesAssumeRole(source):
		return c.trustFault(source), source.RequestID
	case errors.As(err, &source) && source.Code == "AuthFailure.SignatureExpire":
		return c.clockFault("STS"), source.RequestID
	case errors.As(err, &source):
		problem := source.Message
		if source.Code != "" {
			problem = source.Code + ": " + problem
		}
		if errors.As(err, &caller) {
			problem = "the first role has no credentials: " + problem
		}
		return fault{"no_credentials", problem, cmp.Or(source.Hint, "check the settings of source "+c.route.Source)}, source.RequestID
	case errors.As(err, &unavailable):
		err = unavailable.Err
	}
	return fault{"no_credentials", err.Error(), "check the settings of source " + c.route.Source}, ""
}

// requestFault explains why the request to COS failed.
func (c *routeCheck) requestFault(p probe, err error) fault {
	var response *cos.ErrorResponse
	if errors.As(err, &response) {
		return c.responseFault(p, response)
	}
	host, connectTo := c.report.Endpoint, variable("ConnectTo")
	where := fmt.Sprintf("check %s and %s", c.route.names["Region"], variable("Endpoint"))
	path := where + ", the network, and HTTPS_PROXY"
	if c.cfg.ConnectTo != "" { // bypasses HTTP proxies
		host, where = connectTo+"="+c.cfg.ConnectTo, "check "+connectTo
		path = where + " and the network"
	}
	var (
		name *net.DNSError
		cert *tls.CertificateVerificationError
		tlsH tls.RecordHeaderError
		wait net.Error
	)
	switch {
	case errors.As(err, &name):
		return fault{"dns", fmt.Sprintf("the host name %s cannot be resolved", name.Name), where + ", and DNS on this machine"}
	case errors.As(err, &cert):
		return fault{"tls", fmt.Sprintf("the certificate at %s is not trusted: %v", host, cert.Err),
			"if it was issued by a private CA, add the CA certificate to " + variable("CAFile") + "; otherwise something intercepts the connection"}
	case errors.As(err, &tlsH), errors.Is(err, http.ErrSchemeMismatch):
		return fault{"tls", host + " does not use TLS", where}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &wait) && wait.Timeout():
		return fault{"unreachable", host + " did not respond in time", path}
	}
	return fault{"unreachable", fmt.Sprintf("the connection to %s failed: %v", host, unquoted(err)), path}
}

// responseFault explains an error response of COS. The zero fault means that the probe
// expects it. Responses to HEAD have only a status.
func (c *routeCheck) responseFault(p probe, e *cos.ErrorResponse) fault {
	r, status := c.route, e.Response.StatusCode
	off := c.report.ClockOffset != nil && (*c.report.ClockOffset >= rejectedOffset || *c.report.ClockOffset <= -rejectedOffset)
	rejected := proxy.RejectionCode(e.Code, e.Message)
	bucketRegion := e.Response.Header.Get("X-Cos-Bucket-Region")
	switch {
	case e.Response.Header.Get("X-Cos-Request-Id") == "":
		return fault{"not_cos", fmt.Sprintf("the response %d does not come from COS", status),
			fmt.Sprintf("check %s, %s, and HTTP proxies", variable("Endpoint"), variable("ConnectTo"))}
	case rejected == "RequestTimeTooSkewed", off && status == http.StatusForbidden:
		return c.clockFault("COS")
	case bucketRegion != "" && bucketRegion != r.Region:
		return fault{"region", fmt.Sprintf("bucket %s is in %s, not in %s", r.Bucket, bucketRegion, r.Region),
			fmt.Sprintf("set %s=%s", r.names["Region"], bucketRegion)}
	case p.passed(e) && rejected == "":
		return fault{}
	case e.Code == "NoSuchBucket", status == http.StatusNotFound && e.Code == "":
		return fault{"bucket", fmt.Sprintf("bucket %s does not exist in %s", r.Bucket, r.Region),
			fmt.Sprintf("check %s and %s; a bucket exists only in its own region", r.names["Bucket"], r.names["Region"])}
	case rejected != "":
		return fault{"credentials_rejected", fmt.Sprintf("COS rejected credentials %s: %s: %s", c.report.SecretID, e.Code, e.Message),
			"if the credentials are old, get new ones; otherwise the account may be disabled, or belong to another site of Tencent Cloud"}
	case e.Code == "SignatureDoesNotMatch":
		return fault{"signature", "COS computed another signature for credentials " + c.report.SecretID,
			"check that SecretId and SecretKey belong together, and that no proxy changes requests"}
	case status == http.StatusForbidden && (e.Code == "AccessDenied" || e.Code == ""):
		return c.denied(p, e)
	}
	return fault{"cos_error", strings.TrimSuffix(fmt.Sprintf("COS responded with %d %s: %s", status, e.Code, e.Message), " : "),
		"look up the code in the COS document \"Error codes\", or contact COS support with the request ID"}
}

func (c *routeCheck) denied(p probe, e *cos.ErrorResponse) fault {
	owner := "the owner of the credentials"
	switch source := c.route.Source; {
	case source == "sts":
		owner = "the user of the key pair (" + variable("SecretID") + ")"
	case source == "role", c.cfg.Source.chained(source):
		owner = "the role in " + variable("RoleARN")
	case source == "oidc":
		owner = "the role in " + variable("TKERoleARN")
	case source == "cvm":
		owner = "the role of the instance"
	}
	message := ""
	if e.Message != "" {
		message = ", with the message " + strconv.Quote(e.Message)
	}
	return fault{"denied", fmt.Sprintf("COS denies %s on %s to credentials %s%s", p.action, c.route.Bucket, c.report.SecretID, message),
		fmt.Sprintf("grant it in CAM to %s: temporary credentials have the permissions that both their owner and the route allow. "+
			"Also check the bucket policy, and that %s is your bucket", owner, c.route.names["Bucket"])}
}
