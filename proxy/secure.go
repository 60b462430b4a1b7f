package proxy

import (
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
)

// isSecure reports whether the client speaks TLS. net/http knows it only of
// connections that nothing is wrapped around.
func isSecure(r *http.Request) bool {
	c, ok := connOf(r)
	return r.TLS != nil || ok && c.secure() != nil
}

// secure is the connection under c if that is one of TLS.
func (c *conn) secure() *tls.Conn {
	secure, _ := c.Conn.(*tls.Conn)
	return secure
}

// reset ends the connection so that no client takes it for the end of a body.
// TLS would say goodbye first, and so the connection under it goes at once.
func (c *conn) reset() {
	tcp := c.tcp()
	if tcp == nil {
		return
	}
	_ = tcp.SetLinger(0)
	if c.secure() != nil {
		_ = tcp.Close()
	}
}

// plainBeginnings are how the methods that COS knows begin, as the five bytes of
// a TLS record's header.
var plainBeginnings = []string{"GET /", "GET h", "HEAD ", "PUT /", "PUT h", "POST ", "DELET", "OPTIO"}

// refusePlain answers who speaks plain HTTP where TLS is spoken.
func (c *conn) refusePlain(err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && slices.Contains(plainBeginnings, string(record.RecordHeader[:])) {
		_, _ = record.Conn.Write(c.plainAnswer(errorf(http.StatusBadRequest, "InvalidRequest",
			"This address speaks TLS, and the request is plain HTTP. Write https:// instead of http://.")))
	}
}
