//go:build linux

package main

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// responseTimeout is the maximum time without progress on any connection.
const responseTimeout = 10 * time.Second

// smallLoad sends sequential requests on each of its connections, from a single thread
// with epoll(7) to save CPU time.
type smallLoad struct {
	request []byte
	epoll   int
	conns   []*loadConn
	done    int64 // responses so far
}

// smallRequest returns a GET or PUT of smallSize bytes in the form of a COS SDK.
func smallRequest(method, addr string, body []byte) []byte {
	head := fmt.Sprintf("%s %s%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: cos-go-sdk-v5/0.7.75\r\nAccept: */*\r\n", method, objectPath, smallSize, addr)
	if method == "GET" {
		return []byte(head + "Accept-Encoding: identity\r\n\r\n")
	}
	sum := md5.Sum(body)
	head += fmt.Sprintf("Content-Type: application/octet-stream\r\nContent-Length: %d\r\nContent-MD5: %s\r\n"+
		"Cache-Control: max-age=3600\r\nx-cos-meta-owner: team-a\r\n\r\n", len(body), base64.StdEncoding.EncodeToString(sum[:]))
	return append([]byte(head), body...)
}

// newSmallLoad opens n connections to addr. The caller must close the load.
func newSmallLoad(addr string, n int, request []byte) (*smallLoad, error) {
	target, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return nil, err
	}
	l := &smallLoad{request: request}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for range n {
		c, err := dialLoad(target)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, c)
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(l.conns) - 1)}
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *smallLoad) close() {
	for _, c := range l.conns {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(l.epoll)
}

// drive sends requests for the time d and waits for the last responses. It returns the
// number of responses.
func (l *smallLoad) drive(d time.Duration) (int64, error) {
	first := l.done
	end := time.Now().Add(d)
	for _, c := range l.conns {
		if err := c.send(l.request); err != nil {
			return 0, err
		}
	}
	events := make([]unix.EpollEvent, len(l.conns))
	for open := len(l.conns); open > 0; {
		n, err := unix.EpollWait(l.epoll, events, int(responseTimeout.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return 0, errors.Join(err, fmt.Errorf("%d requests without a response within %v", open, responseTimeout))
		}
		more := time.Now().Before(end)
		for _, event := range events[:n] {
			complete, err := l.conns[event.Fd].receive()
			if err != nil {
				return 0, err
			}
			switch {
			case !complete:
				continue
			case more:
				err = l.conns[event.Fd].send(l.request)
			default:
				open--
			}
			l.done++
			if err != nil {
				return 0, err
			}
		}
	}
	return l.done - first, nil
}

// loadConn is one connection of a load.
type loadConn struct {
	fd   int
	buf  [8 << 10]byte
	used int   // bytes of the head in buf
	left int64 // remaining bytes of the body; -1 within the head
}

func dialLoad(addr *net.TCPAddr) (*loadConn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	err = errors.Join(unix.Connect(fd, to), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetNonblock(fd, true))
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &loadConn{fd: fd}, nil
}

// send writes the request, which fits into the buffer of an idle socket.
func (c *loadConn) send(request []byte) error {
	c.used, c.left = 0, -1
	n, err := unix.Write(c.fd, request)
	if err == nil && n < len(request) {
		err = errors.New("short write of a request")
	}
	return err
}

// receive reads the available bytes. It reports whether the response is complete.
func (c *loadConn) receive() (complete bool, err error) {
	n, err := unix.Read(c.fd, c.buf[c.used:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil || n == 0 {
		return false, errors.Join(err, errors.New("connection closed before the response"))
	}
	if c.left >= 0 {
		c.left -= int64(n)
		return c.left == 0, nil
	}
	c.used += n
	head, body, err := parseResponse(c.buf[:c.used])
	switch {
	case err != nil:
		return false, err
	case head == 0 && c.used == len(c.buf):
		return false, errors.New("response with a head over 8 KiB")
	case head == 0:
		return false, nil
	}
	c.left = body - int64(c.used-head)
	c.used = 0
	return c.left == 0, nil
}
