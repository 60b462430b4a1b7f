package proxy

import (
	"context"
	"io"
	"net/netip"
)

// LookupWith returns u with another function in place of the system's resolver.
func (u Upstream) LookupWith(lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) Upstream {
	u.lookup = lookup
	return u
}

// MaskedBody shows what becomes of an error body with these secrets in it.
func MaskedBody(body io.Reader, secrets ...string) io.Reader {
	return &maskedBody{body: body, secrets: secrets}
}
