package proxy

import "time"

// result is what became of one request, for the log and the metrics.
type result struct {
	start     time.Time
	route     string
	action    string
	key       string
	status    int
	bytesOut  int64 // of COS's response body
	requestID string
	aborted   bool  // the response was begun and not finished
	err       error // why the response is not COS's, or not complete
}

// concerns notes what the request means on a route.
func (r *result) setCandidate(c *candidate) {
	r.route, r.action, r.key = c.route.Name, c.op.Action, c.op.Key
}
