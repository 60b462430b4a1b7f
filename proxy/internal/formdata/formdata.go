// Package formdata reads and writes form uploads (RFC 7578; COS document "POST
// Object"): fields first, the file last.
//
// It is stricter than RFC 2046 requires: where two readers could see the end of a
// part in different places, it refuses the form, because COS may be the other reader.
// It is not for forms with several files.
package formdata

import (
	"net/http"

	"cosproxy/proxy/internal/coserr"
)

func malformed(format string, args ...any) error {
	return coserr.New(http.StatusBadRequest, "MalformedPOSTRequest", format, args...)
}

func noFileError() error {
	return malformed("The form ends before a part named file. The file must be its last part.")
}

func notClosedError() error {
	return malformed("The form ends without its closing boundary; nothing was stored. Send it again.")
}
