package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
)

// collectLimit bounds what is collected of a response for an HTTP/1.0 client on a
// Unix socket, in bytes. COS's lists, which have no length, are smaller.
const collectLimit = 1 << 20

// collect gives a response of unknown length a length where the client could not
// tell that it is cut: for HTTP/1.0 it ends with the connection, and a Unix socket
// cannot be reset.
func (x *exchange) collect(resp *http.Response) error {
	c, known := connOf(x.r)
	if resp.ContentLength >= 0 || x.r.Method == http.MethodHead || x.r.ProtoAtLeast(1, 1) || !known || c.tcp() != nil {
		return nil
	}
	var body bytes.Buffer
	_, err := io.CopyN(&body, resp.Body, collectLimit+1)
	switch {
	case err == nil:
		return errorf(http.StatusHTTPVersionNotSupported, "HTTPVersionNotSupported",
			"COS gives no length for this response, and over HTTP/1.0 on a Unix socket nobody could tell whether it is whole. Ask with HTTP/1.1.")
	case !errors.Is(err, io.EOF):
		return x.failure(err)
	}
	resp.Body.Close()
	resp.Body, resp.ContentLength = io.NopCloser(&body), int64(body.Len())
	resp.Header["Content-Length"] = []string{strconv.Itoa(body.Len())}
	return nil
}

// tcp is the TCP connection under c; nil if there is none.
func (c *conn) tcp() *net.TCPConn {
	under := c.Conn
	if secure := c.secure(); secure != nil {
		under = secure.NetConn()
	}
	tcp, _ := under.(*net.TCPConn)
	return tcp
}
