package proxy

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"cosproxy/proxy/guard"
	"cosproxy/proxy/http1"
	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/cosreq"
)

// sendError sends a proxy error to the client.
func sendError(x *http1.Exchange, req *request, e *coserr.Error, requestID string, g *guard.Guard, settingName func(Setting) string) {
	doc := coserr.Document{Code: req.errorCode(e), Message: e.Text(settingName), Resource: req.resource(), RequestID: requestID}
	w := &x.Response
	w.Start(e.Status, http.StatusText(e.Status))
	w.Field("Content-Type", "application/xml")
	w.Field("Server", "cosproxy")
	w.Field("Date", time.Now().UTC().Format(http.TimeFormat))
	if req.dialect == dialectS3 {
		w.Field("x-amz-request-id", requestID)
	} else {
		w.Field("x-cos-request-id", requestID)
	}
	if e.RetryAfter > 0 {
		w.Field("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	switch e.Status {
	case http.StatusMethodNotAllowed:
		w.Field("Allow", cosreq.AllowedMethods)
	case http.StatusUnauthorized:
		w.Field("WWW-Authenticate", `Bearer realm="cosproxy"`)
	case http.StatusProxyAuthRequired:
		w.Field("Proxy-Authenticate", `Basic realm="cosproxy"`)
	}
	if vary, origin := g.AllowOrigin(req); vary {
		w.Field("Vary", "Origin")
		if origin != "" {
			w.Field("Access-Control-Allow-Origin", origin)
		}
	}
	body := doc.Bytes()
	if req.method == http.MethodHead {
		body = nil
	}
	_ = w.Send(int64(len(body)), body) // fails only if the client has left
}
