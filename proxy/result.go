package proxy

import "time"

// result is the result of one request, for the log and the metrics.
type result struct {
	start     time.Time
	route     string
	action    string
	key       string
	status    int
	bytesOut  int64 // of COS's response body
	requestID string
	aborted   bool  // the response failed after its header was sent
	err       error // why the response is a proxy error or incomplete
}

// setCandidate sets the route, action and object key of the request.
func (r *result) setCandidate(c *candidate) {
	r.route, r.action, r.key = c.route.Name, c.op.Action, c.op.Key
}
