package proxy

import (
	"net/http"
	"time"
)

// A connection that is closed while bytes of the client's are on the way is
// reset, and with the reset go answers that the client has not read yet (RFC
// 9112, 9.6). Who is refused in the middle of an upload is therefore listened to
// a little longer: until it is silent for lingerIdle, and for lingerTime at most.
const (
	lingerIdle = time.Second
	lingerTime = 5 * time.Second
)

// hangUpIfUnread announces that the connection ends with this answer if the client
// has not sent its whole body, and returns what ends it. Without that, net/http
// would first read on, and a refusal would not reach a client that pauses in the
// middle of an upload. It must not end before the answer does: a read that fails has
// net/http cancel the request.
func (x *exchange) hangUpIfUnread() (hangUp func()) {
	if x.upload.whole() {
		return func() {}
	}
	x.w.Header().Set("Connection", "close")
	return func() {
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(lingerIdle))
		if c, ok := connOf(x.r); ok {
			c.unread.Store(true)
		}
	}
}

// linger reads what still comes from a client that hangUpIfUnread has given up.
func (c *conn) linger() {
	if !c.unread.Swap(false) {
		return
	}
	_ = c.halfClose()
	buf := make([]byte, 4<<10)
	for end := time.Now().Add(lingerTime); time.Now().Before(end); {
		_ = c.SetReadDeadline(time.Now().Add(lingerIdle))
		if _, err := c.Conn.Read(buf); err != nil {
			return
		}
	}
}

// CloseWrite lets net/http end an error answer properly.
func (c *conn) CloseWrite() error {
	err := c.halfClose()
	c.linger()
	return err
}

func (c *conn) halfClose() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.deadline.close()
	c.linger()
	defer c.use.end()
	return c.Conn.Close()
}
