//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// headEnd returns the length of the head at the start of b, or 0 if it is
// incomplete.
func headEnd(b []byte) int {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return 0
}

// field returns the value of the first field with this name in the head, or "".
func field(head []byte, name string) string {
	for {
		i := bytes.IndexByte(head, '\n')
		if i < 0 {
			return ""
		}
		head = head[i+1:]
		if len(head) > len(name) && head[len(name)] == ':' && bytes.EqualFold(head[:len(name)], []byte(name)) {
			value, _, _ := bytes.Cut(head[len(name)+1:], []byte("\r"))
			return string(bytes.TrimSpace(value))
		}
	}
}

// contentLength returns Content-Length of the head, or 0.
func contentLength(head []byte) int64 {
	n, _ := strconv.ParseInt(field(head, "Content-Length"), 10, 64)
	return n
}

// parseResponse parses the head at the start of b. It returns the length of the head,
// or 0 if it is incomplete, and the length of the body. Anything but 200 with a
// Content-Length is an error.
func parseResponse(b []byte) (head int, body int64, err error) {
	head = headEnd(b)
	if head == 0 {
		return 0, 0, nil
	}
	line, _, _ := bytes.Cut(b, []byte("\r"))
	if len(line) < 12 || string(line[:12]) != "HTTP/1.1 200" {
		return 0, 0, fmt.Errorf("response: %q", line)
	}
	length := field(b[:head], "Content-Length")
	body, err = strconv.ParseInt(length, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("response with Content-Length %q", length)
	}
	return head, body, nil
}
