package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/credcache"
	"cosproxy/proxy"
)

// fault is what is wrong, in plain words. The zero value is nothing.
type fault struct {
	// Code is one of clock, no_key, dns, tls, unreachable, not_cos, region,
	// bucket, key_rejected, signature, denied, cos_error.
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
		return fault{"no_key", problem, cmp.Or(source.Hint, "check the settings of source "+c.route.Source)}, source.RequestID
	case errors.As(err, &none):
		err = none.Err
	}
	return fault{"no_key", err.Error(), "check the settings of source " + c.route.Source}, ""
}

// requestFault says why COS did not answer as it should.
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
	return fault{"unreachable", fmt.Sprintf("the connection to %s failed: %v", host, proxy.Unquoted(err)), way}
}

// refusal says what an error answer of COS means; it may be as it should. HEAD has no body, so its
// answers come with a status alone.
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
		return fault{"key_rejected", fmt.Sprintf("COS rejected key %s: %s: %s", c.report.KeyID, e.Code, e.Message),
			"if the key was not issued just now, get a new one; else its owner may have been disabled, or is of another site of Tencent Cloud"}
	case e.Code == "SignatureDoesNotMatch":
		return fault{"signature", "COS computed another signature for key " + c.report.KeyID,
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
	return fault{"denied", fmt.Sprintf("COS denies %s on %s to key %s%s", p.action, c.route.Bucket, c.report.KeyID, said),
		fmt.Sprintf("in CAM, allow it to %s: a temporary key can do what both its owner and the route allow. "+
			"Check also the bucket's own policy, and that %s is yours", owner, c.route.names["Bucket"])}
}
