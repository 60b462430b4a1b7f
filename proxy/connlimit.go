package proxy

import (
	"container/list"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// firstRequestGrace is how long a new connection may be silent before a ConnLimit
// may close it. A client that has only just connected is about to send a request.
const firstRequestGrace = time.Second

// ConnLimit bounds how many connections of clients its listeners keep open
// together. At the limit, a new connection takes the place of the one that has been
// idle longest. While none is idle, the new one waits until another ends or becomes
// idle. Create it with NewConnLimit.
type ConnLimit struct {
	limit   int
	changed chan struct{} // has a value after a connection has ended or become idle

	mu   sync.Mutex
	open list.List // of *conn; the one that changed its state last is at the back
}

// NewConnLimit returns a limit of that many connections. Zero means no limit; the
// longest idle connection is then closed only when the process has no file
// descriptor left.
func NewConnLimit(limit int) *ConnLimit {
	return &ConnLimit{limit: limit, changed: make(chan struct{}, 1)}
}

// Listener is the function Listener, under this limit.
func (l *ConnLimit) Listener(inner net.Listener) net.Listener {
	return &listener{Listener: inner, limit: l, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	limit  *ConnLimit
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		switch {
		case outOfDescriptors(err) && l.limit.closeIdle():
			continue
		case err != nil:
			return nil, err
		}
		c := &conn{Conn: accepted, log: slog.New(slog.DiscardHandler), refused: func(int) {}}
		if l.limit.admit(c, l.closed) {
			return c, nil
		}
		accepted.Close()
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It ends an Accept that waits for the limit.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// connUse is what a ConnLimit knows of a connection.
type connUse struct {
	limit   *ConnLimit
	element *list.Element // in limit.open
	since   time.Time     // when it was accepted
	idle    atomic.Bool   // no request is in progress; written under limit.mu
	served  bool          // it has had a request; guarded by limit.mu
}

// admit counts c once there is room for it. It returns false if closed comes first.
func (l *ConnLimit) admit(c *conn, closed <-chan struct{}) bool {
	for !l.enter(c) {
		retry := time.NewTimer(firstRequestGrace)
		select {
		case <-l.changed:
		case <-retry.C: // a silent new connection may have become one to close
		case <-closed:
			retry.Stop()
			return false
		}
		retry.Stop()
	}
	l.signal() // another listener may wait too, and there may be room for both
	return true
}

// enter counts c if there is room, or if an idle connection can make room.
func (l *ConnLimit) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var victim *conn
	if l.limit > 0 && l.open.Len() >= l.limit {
		if victim = l.takeIdle(); victim == nil {
			return false
		}
		victim.cut()
	}
	c.use.limit, c.use.since, c.use.element = l, time.Now(), l.open.PushBack(c)
	c.use.idle.Store(true)
	return true
}

// closeIdle closes the connection that has been idle longest, if there is one.
func (l *ConnLimit) closeIdle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	victim := l.takeIdle()
	if victim != nil {
		victim.cut()
	}
	return victim != nil
}

// takeIdle stops counting the connection that has been idle longest, and returns
// it. It is nil if no connection is idle.
func (l *ConnLimit) takeIdle() *conn {
	for e := l.open.Front(); e != nil; e = e.Next() {
		c := e.Value.(*conn)
		if c.use.idle.Load() && (c.use.served || time.Since(c.use.since) >= firstRequestGrace) {
			l.open.Remove(e)
			return c
		}
	}
	return nil
}

func (l *ConnLimit) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// received marks the connection as in use from the first byte of a request on.
// net/http tells only after the whole header.
func (u *connUse) received() {
	if u.idle.Load() {
		u.set(false)
	}
}

// follow takes over what net/http tells of the connection.
func (u *connUse) follow(state http.ConnState) {
	switch state {
	case http.StateActive:
		u.received() // a request that came together with the one before
	case http.StateIdle:
		u.set(true)
		u.limit.signal()
	}
}

func (u *connUse) set(idle bool) {
	u.limit.mu.Lock()
	defer u.limit.mu.Unlock()
	u.idle.Store(idle)
	u.served = true
	u.limit.open.MoveToBack(u.element)
}

// end stops counting the connection. It may be called twice.
func (u *connUse) end() {
	u.limit.mu.Lock()
	u.limit.open.Remove(u.element)
	u.limit.mu.Unlock()
	u.limit.signal()
}

// cut closes the socket at once, so that its descriptor is free on return. TLS
// would first try to write its goodbye, which a client that does not read can delay.
func (c *conn) cut() {
	if secure := c.secure(); secure != nil {
		secure.NetConn().Close()
		return
	}
	c.Conn.Close()
}
