package proxy

import "io"

// MaskedBody shows what becomes of an error body with these secrets in it.
func MaskedBody(body io.Reader, secrets ...string) io.Reader {
	return &maskedBody{body: body, secrets: secrets}
}
