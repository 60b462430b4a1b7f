package cosemu

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	// maxSTSBody is the maximum size of the body of a call, in bytes.
	maxSTSBody = 1 << 20
	// maxSTSSkew is the maximum difference between Timestamp and the clock.
	maxSTSSkew = 5 * time.Minute
)

// stsCall is a call at STS in one of the protocols of the SDKs: the signed form of API
// 3.0's v1 scheme; and JSON with X-TC headers, which is signed for AssumeRole, and
// unsigned for AssumeRoleWithWebIdentity.
type stsCall struct {
	stsRequest
	host, version, timestamp string
	// unsigned marks a call in JSON with Authorization: SKIP.
	unsigned bool
	// tc3 is the signature of a signed call in JSON; nil for other calls.
	tc3 *tc3Signature
}

// readSTSCall parses a call. After an error, the call holds the fields parsed so far.
func readSTSCall(w http.ResponseWriter, r *http.Request) (stsCall, *stsError) {
	call := stsCall{host: r.Host}
	isJSON := r.Header.Get("X-Tc-Action") != ""
	if isJSON {
		call.Action, call.Region = r.Header.Get("X-Tc-Action"), r.Header.Get("X-Tc-Region")
		call.version, call.timestamp = r.Header.Get("X-Tc-Version"), r.Header.Get("X-Tc-Timestamp")
		call.unsigned = r.Header.Get("Authorization") == "SKIP"
	}
	if r.Method != http.MethodPost || r.RequestURI != "/" {
		return call, stsErrorf("InvalidParameter", "STS accepts only POST / without a query")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSTSBody))
	if err != nil {
		return call, stsErrorf("InvalidParameter", "the body cannot be read")
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case isJSON && mediaType == "application/json":
		if !call.unsigned {
			if call.tc3, err = readTC3(r, body); err != nil {
				return call, stsErrorf("AuthFailure.InvalidAuthorization", "%s", err)
			}
		}
		return call, call.readJSON(body)
	case !isJSON && mediaType == "application/x-www-form-urlencoded":
		return call, call.readForm(body)
	}
	return call, stsErrorf("UnsupportedProtocol", "Content-Type is %q; it must be that of a form, or application/json with X-TC headers", r.Header.Get("Content-Type"))
}

func (c *stsCall) readForm(body []byte) *stsError {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return stsErrorf("InvalidParameter", "the body is not a form")
	}
	for name, values := range form {
		if len(values) != 1 {
			return stsErrorf("InvalidParameter", "%s is given more than once", name)
		}
	}
	c.Params = form
	c.Action, c.Region = form.Get("Action"), form.Get("Region")
	c.version, c.timestamp = form.Get("Version"), form.Get("Timestamp")
	return nil
}

// jsonParams are the text parameters of the calls in JSON. AssumeRoleWithWebIdentity has
// no Policy: its credentials have the permissions of the role.
var jsonParams = map[string][]string{
	"AssumeRoleWithWebIdentity": {"ProviderId", "WebIdentityToken", "RoleArn", "RoleSessionName"},
	"AssumeRole":                {"RoleArn", "RoleSessionName", "ExternalId", "Policy"},
}

// readJSON reads the parameters of a call in JSON.
func (c *stsCall) readJSON(body []byte) *stsError {
	if jsonParams[c.Action] == nil || c.unsigned != (c.Action == "AssumeRoleWithWebIdentity") {
		return stsErrorf("AuthFailure.InvalidAuthorization", "only AssumeRoleWithWebIdentity with Authorization: SKIP, and AssumeRole with a signature, are accepted in JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var params map[string]any
	if err := decoder.Decode(&params); err != nil || decoder.More() {
		return stsErrorf("InvalidParameter", "the body is not a JSON object")
	}
	c.Params = url.Values{}
	for name, value := range params {
		text, isText := value.(string)
		number, isNumber := value.(json.Number)
		switch {
		case slices.Contains(jsonParams[c.Action], name):
			if !isText {
				return stsErrorf("InvalidParameter", "The value type of parameter `%s` is not valid.", name)
			}
			c.Params.Set(name, text)
		case name == "DurationSeconds":
			if !isNumber {
				return stsErrorf("InvalidParameter", "The value type of parameter `%s` is not valid.", name)
			}
			c.Params.Set(name, number.String())
		default:
			return stsErrorf("UnknownParameter", "The parameter `%s` is not recognized.", name)
		}
	}
	return nil
}
