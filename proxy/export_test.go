package proxy

import (
	"context"
	"io"
	"net/netip"
)

// LookupWith returns u with lookup instead of the resolver of the system.
func (u Upstream) LookupWith(lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) Upstream {
	u.lookup = lookup
	return u
}

// MaskedBody returns a reader of body with these secrets masked.
func MaskedBody(body io.Reader, secrets ...string) io.Reader {
	return &maskedBody{body: body, secrets: secrets}
}
