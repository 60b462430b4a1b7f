//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Paths of the upstream. A number after objectPath is the length of the object.
const (
	objectPath = "/bench/"
	signedPath = "/bench/signed" // 403 without a signature of COS
	s3Path     = "/bench/s3/"    // as objectPath; 403 without a signature of S3
	closePath  = "/bench/close"  // closes the connection after the response
	statsPath  = "/stats"        // number of TLS handshakes and of resumed sessions
)

// upstream responds like COS, with its fields and its CRC-64. It supports a minimum of
// HTTP to save CPU time: no chunked bodies, no pipelining.
type upstream struct {
	pattern       []byte
	source        *source
	small, stored []byte // responses to GET and PUT of smallSize bytes

	handshakes, resumed atomic.Int64

	mu   sync.Mutex
	crcs map[int64]string // CRC-64 by length
}

// runUpstream serves until standard input ends. It prints the addresses of the plain
// and the TLS listener.
func runUpstream(args []string, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("want CERT KEY SIZE")
	}
	debug.SetGCPercent(400)
	cert, err := tls.LoadX509KeyPair(args[0], args[1])
	if err != nil {
		return err
	}
	u := &upstream{pattern: newPattern(), crcs: make(map[int64]string)}
	if u.source, err = newSource(u.pattern); err != nil {
		return err
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	u.small = append(u.head(smallSize, smallSize, "keep-alive"), u.pattern[:smallSize]...)
	u.stored = u.head(0, smallSize, "keep-alive")
	u.crc(size) // slow, so do it before the measurements
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go u.accept(l, nil)
	go u.accept(secure, &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	fmt.Fprintln(out, l.Addr(), secure.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (u *upstream) accept(l net.Listener, config *tls.Config) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return
		}
		if config == nil {
			go u.serve(&upstreamConn{Conn: tcp, tcp: tcp})
			continue
		}
		go func() {
			secure := tls.Server(tcp, config)
			defer secure.Close()
			if secure.Handshake() != nil {
				return
			}
			u.handshakes.Add(1)
			if secure.ConnectionState().DidResume {
				u.resumed.Add(1)
			}
			u.serve(&upstreamConn{Conn: secure})
		}()
	}
}

// upstreamConn is a connection from a peer.
type upstreamConn struct {
	net.Conn
	tcp *net.TCPConn // nil over TLS
	r   *bufio.Reader
}

func (u *upstream) serve(c *upstreamConn) {
	defer c.Close()
	c.r = bufio.NewReaderSize(c.Conn, 16<<10)
	for {
		head, err := peekHead(c.r)
		if err != nil {
			return
		}
		req := parseRequest(head)
		if _, err := c.r.Discard(len(head)); err != nil {
			return
		}
		if err := u.respond(c, req); err != nil || req.path == closePath {
			return
		}
	}
}

// peekHead waits for a complete head and returns it without consuming it.
func peekHead(r *bufio.Reader) ([]byte, error) {
	for n := 1; ; n = r.Buffered() + 1 {
		if _, err := r.Peek(n); err != nil {
			return nil, err
		}
		b, err := r.Peek(r.Buffered())
		if err != nil {
			return nil, err
		}
		if end := headEnd(b); end > 0 {
			return b[:end], nil
		}
	}
}

// request holds the parts of a request that the upstream needs.
type request struct {
	method, path       string
	length             int64
	expect, signed, s3 bool // s3: signed in the dialect of S3, with the key of the peers
}

func parseRequest(head []byte) request {
	line, _, _ := strings.Cut(string(head), "\r")
	method, rest, _ := strings.Cut(line, " ")
	path, _, _ := strings.Cut(rest, " ")
	signature := field(head, "Authorization")
	return request{
		method: method,
		path:   path,
		length: contentLength(head),
		expect: field(head, "Expect") != "",
		signed: strings.HasPrefix(signature, "q-sign-algorithm=sha1&"),
		s3:     strings.HasPrefix(signature, "AWS4-HMAC-SHA256 Credential="+secretID+"/"),
	}
}
