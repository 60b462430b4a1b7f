package issuer

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cosproxy/signer"
)

// statusClientGone is the status in logs and metrics if the client left before the response.
const statusClientGone = 499

// maxMessage limits the message of an error, in runes.
const maxMessage = 500

// refusal is an error response.
type refusal struct {
	status     int
	code       string
	message    string        // for the client, with what to do next; no secret
	retryAfter time.Duration // 0: no Retry-After
	cause      error         // for the log; nil: message says everything
}

func refuse(status int, code, format string, args ...any) *refusal {
	message := []rune(fmt.Sprintf(format, args...))
	if len(message) > maxMessage {
		message = append(message[:maxMessage], '…')
	}
	return &refusal{status: status, code: code, message: string(message)}
}

// write sends the error as JSON.
func (e *refusal) write(w http.ResponseWriter) {
	var document struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	document.Error.Code, document.Error.Message = e.code, e.message
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(e.retryAfter)))
	}
	switch e.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="cosproxy issuer"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodGet)
	case statusClientGone:
		return
	}
	writeJSON(w, e.status, document)
}

// writeCredentials sends credentials in the form of the STS SDK's demos.
func writeCredentials(w http.ResponseWriter, creds signer.Credentials) {
	var document struct {
		Credentials struct {
			SecretID  string `json:"tmpSecretId"`
			SecretKey string `json:"tmpSecretKey"`
			Token     string `json:"sessionToken"`
		} `json:"credentials"`
		StartTime   int64 `json:"startTime"`
		ExpiredTime int64 `json:"expiredTime"`
	}
	document.Credentials.SecretID, document.Credentials.SecretKey, document.Credentials.Token = creds.SecretID, creds.SecretKey, creds.Token
	document.StartTime, document.ExpiredTime = time.Now().Unix(), creds.Expires.Unix()
	writeJSON(w, http.StatusOK, document)
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Server", "cosproxy")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(document) // the client may have left
}

// seconds rounds up to whole seconds.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// log logs the request: the caller, the route, the scope and the result. The credentials
// themselves are not logged; their SecretId, which is no secret, leads to the log of COS.
func (i *Issuer) log(r *http.Request, x *exchange, route string, refused *refusal) {
	attrs := []slog.Attr{
		slog.String("client.address", r.RemoteAddr),
		slog.String("cosproxy.caller", x.caller),
		slog.String("cosproxy.route", route),
		slog.String("cos.bucket", x.scope.Bucket),
		slog.String("cloud.region", x.scope.Region),
		slog.String("cosproxy.allow_prefixes", strings.Join(x.scope.AllowPrefixes, ",")),
		slog.String("cosproxy.allow_actions", strings.Join(x.scope.AllowActions, ",")),
	}
	if refused == nil {
		attrs = append(attrs, slog.String("cos.secret_id", x.creds.SecretID), slog.Time("cosproxy.credentials_expiry", x.creds.Expires.UTC()))
		i.opts.Logger.LogAttrs(r.Context(), slog.LevelInfo, "credentials issued", attrs...)
		return
	}
	message := refused.message
	if refused.cause != nil {
		message += ": " + refused.cause.Error()
	}
	attrs = append(attrs, slog.Int("http.response.status_code", refused.status), slog.String("error.type", refused.code), slog.String("error.message", message))
	level := slog.LevelWarn
	if refused.status == statusClientGone {
		level = slog.LevelInfo
	}
	i.opts.Logger.LogAttrs(r.Context(), level, "no credentials issued", attrs...)
}
