package proxy

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
)

// DialWith returns o with another function in place of net.Dialer's.
func (o TransportOptions) DialWith(dial func(ctx context.Context, network, addr string) (net.Conn, error)) TransportOptions {
	o.dial = dial
	return o
}

// LookupWith returns o with another function in place of the resolver's.
func (o TransportOptions) LookupWith(lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) TransportOptions {
	o.lookup = lookup
	return o
}

// TCPConn returns the TCP connection under one of NewTransport.
func TCPConn(c net.Conn) *net.TCPConn { return upstreamConnOf(c).Conn.(*net.TCPConn) }

// ParseQuery shows the query parser: the text for the wire and the decoded
// pairs.
func ParseQuery(raw string) (wire string, pairs [][2]string, err error) {
	q, err := parseQuery(raw)
	for _, p := range q.params {
		pairs = append(pairs, [2]string{p.key, p.value})
	}
	return q.raw, pairs, err
}

// Framing is what the framer says about one request.
type Framing struct{ Chunked, Sized bool }

// Framings lets the framer read a connection's bytes, piece by piece. seen is what
// net/http gets to see of them.
func Framings(wire []byte, piece int) (seen []byte, list []Framing) {
	var c conn
	for len(wire) > 0 {
		n := min(piece, len(wire))
		b := slices.Clone(wire[:n])
		wire = wire[n:]
		seen = append(append(seen, b[:c.filter(b, n)]...), c.ahead...)
		c.ahead = nil
		for next, ok := c.framer.next(); ok; next, ok = c.framer.next() {
			list = append(list, Framing{next.chunked, next.sized})
		}
	}
	return seen, list
}

// Classify shows the action of a request.
func Classify(method, key, rawQuery string) (string, error) {
	q, err := parseQuery(rawQuery)
	if err != nil {
		return "", err
	}
	return classify(method, key, q).action, nil
}

// UpdateCRC is the checksum of bodies.
var UpdateCRC = updateCRC

// MaskedBody shows what becomes of an error body with these secrets in it.
func MaskedBody(body io.Reader, secrets ...string) io.Reader {
	return &maskedBody{ReadCloser: io.NopCloser(body), secrets: secrets}
}

// Spread is the order in which addresses are dialed.
var Spread = spread

// XMLText is the text of error documents.
var XMLText = xmlText
