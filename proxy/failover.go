package proxy

import (
	"errors"
	"net/http"
	"time"

	"cosproxy/proxy/http1"
)

// startAtSpare moves a new request to the spare host if that is the current one.
func (o *outgoing) startAtSpare() {
	if o.spare == nil {
		return
	}
	o.started = time.Now()
	if o.spare.isCurrent(o.started, o.canRetry()) {
		o.setUpstream(o.spare.upstream)
	}
}

// isHostFailure reports whether another host may succeed: the connection failed, or the
// response is not one of COS. COS identifies each of its responses.
func (o *outgoing) isHostFailure(resp *response, err error) bool {
	if o.spare == nil {
		return false
	}
	if err != nil {
		return o.mayRecover(err)
	}
	switch resp.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		if resp.Status < http.StatusInternalServerError {
			return false
		}
	}
	return resp.requestID() == nil
}

// switchHost moves the next attempt to the other host.
func (o *outgoing) switchHost() {
	to := o.spare.upstream
	if o.upstream == to {
		to = o.route.upstream
	}
	o.switched = to == o.spare.upstream
	o.setUpstream(to)
}

// recordHost records that the current host responded.
func (o *outgoing) recordHost(resp *response) {
	switch {
	case o.spare == nil || resp.requestID() == nil:
	case o.upstream != o.spare.upstream:
		o.spare.forget(o.started)
	case o.switched:
		o.switched = false
		o.spare.remember(time.Now())
	}
}

// setUpstream sets the host of the next attempt.
func (o *outgoing) setUpstream(to *upstream) {
	o.upstream = to
	o.head.fields[0].Value = to.host
}

// isDialError reports whether err came before a connection was established, so that the
// server has received nothing.
func isDialError(err error) bool {
	var dial *http1.DialError
	return errors.As(err, &dial)
}
