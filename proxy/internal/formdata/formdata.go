// Package formdata reads and writes form uploads (RFC 7578; COS document "POST
// Object"): fields first, the file last.
//
// It is stricter than RFC 2046: it rejects forms in which another parser, such as that of
// COS, could find the end of a part elsewhere. It does not support forms with several
// files.
package formdata

import (
	"net/http"

	"cosproxy/proxy/internal/coserr"
)

func malformed(format string, args ...any) error {
	return coserr.New(http.StatusBadRequest, "MalformedPOSTRequest", format, args...)
}

func noFileError() error {
	return malformed("The form ends without a part named file. Send the file as the last part.")
}

func notClosedError() error {
	return malformed("The form ends without its closing boundary; nothing was stored. Send it again.")
}
