package http1

import (
	"errors"
	"strconv"
)

// errUnsafe is a head that would not be read as it was meant.
var errUnsafe = errors.New("http1: a name or value to be sent has a byte in it that HTTP does not allow")

// Builder writes the head of one message. The zero value is ready; Reset makes it
// ready again and keeps its memory. A byte that would end a field or a line early
// makes Bytes fail, so that no head is ever split.
type Builder struct {
	buf []byte
	bad bool
}

// Reset drops what was written.
func (b *Builder) Reset() { b.buf, b.bad = b.buf[:0], false }

// Request begins a request. The target is sent as it is.
func (b *Builder) Request(method, target string) {
	b.Reset()
	for i := range len(target) {
		b.bad = b.bad || target[i] <= ' ' || target[i] >= 0x7f
	}
	b.bad = b.bad || target == "" || !tokenText(method)
	b.buf = append(append(append(append(b.buf, method...), ' '), target...), " HTTP/1.1\r\n"...)
}

// beginResponse begins a response.
func (b *Builder) beginResponse(status int, reason string) {
	b.Reset()
	b.bad = status < 100 || status > 999 || !valueText(reason)
	b.buf = append(b.buf, "HTTP/1.1 "...)
	b.buf = strconv.AppendInt(b.buf, int64(status), 10)
	b.buf = append(append(append(b.buf, ' '), reason...), "\r\n"...)
}

// Field appends a field.
func (b *Builder) Field(name, value string) {
	b.bad = b.bad || !tokenText(name) || !valueText(value)
	b.buf = append(append(append(append(b.buf, name...), ": "...), value...), "\r\n"...)
}

// Copy appends a field that was read from another message.
func (b *Builder) Copy(f Field) {
	b.bad = b.bad || !isToken(f.Name) || !all(&valueByte, f.Value)
	b.buf = append(append(append(append(b.buf, f.Name...), ": "...), f.Value...), "\r\n"...)
}

// Int appends a field with a number.
func (b *Builder) Int(name string, value int64) {
	b.bad = b.bad || !tokenText(name)
	b.buf = append(append(b.buf, name...), ": "...)
	b.buf = append(strconv.AppendInt(b.buf, value, 10), "\r\n"...)
}

// Bytes ends the head and returns it. It is valid until the next Reset.
func (b *Builder) Bytes() ([]byte, error) {
	if b.bad {
		return nil, errUnsafe
	}
	b.buf = append(b.buf, "\r\n"...)
	return b.buf, nil
}

func tokenText(s string) bool { return s != "" && allText(&tokenByte, s) }

func valueText(s string) bool { return allText(&valueByte, s) }

func allText(class *[256]bool, s string) bool {
	for i := range len(s) {
		if !class[s[i]] {
			return false
		}
	}
	return true
}
