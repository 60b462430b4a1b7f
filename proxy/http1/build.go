package http1

import (
	"errors"
	"strconv"
)

// errInvalidByte prevents header injection: a CR or LF in a value would end the field.
var errInvalidByte = errors.New("http1: the method, target, reason, field name or field value to send contains a byte that HTTP does not allow")

// Builder writes the head of one message. The zero value is ready to use. Reset
// prepares it for the next message and keeps its memory. If any part contains a byte
// that HTTP does not allow there, such as CR or LF, Bytes fails.
type Builder struct {
	buf     []byte
	invalid bool
}

// Reset discards the head.
func (b *Builder) Reset() { b.buf, b.invalid = b.buf[:0], false }

// Request starts a request head. The target is sent unchanged.
func (b *Builder) Request(method, target string) {
	b.Reset()
	for i := range len(target) {
		b.invalid = b.invalid || target[i] <= ' ' || target[i] >= 0x7f
	}
	b.invalid = b.invalid || target == "" || !isTokenString(method)
	b.buf = append(append(append(append(b.buf, method...), ' '), target...), " HTTP/1.1\r\n"...)
}

// beginResponse starts a response head.
func (b *Builder) beginResponse(status int, reason string) {
	b.Reset()
	b.invalid = status < 100 || status > 999 || !isValueString(reason)
	b.buf = append(b.buf, "HTTP/1.1 "...)
	b.buf = strconv.AppendInt(b.buf, int64(status), 10)
	b.buf = append(append(append(b.buf, ' '), reason...), "\r\n"...)
}

// Field appends a field.
func (b *Builder) Field(name, value string) {
	b.invalid = b.invalid || !isTokenString(name) || !isValueString(value)
	b.buf = append(append(append(append(b.buf, name...), ": "...), value...), "\r\n"...)
}

// Copy appends a field of another message.
func (b *Builder) Copy(f Field) {
	b.invalid = b.invalid || !isToken(f.Name) || !allIn(&valueByte, f.Value)
	b.buf = append(append(append(append(b.buf, f.Name...), ": "...), f.Value...), "\r\n"...)
}

// Int appends a field with a decimal number.
func (b *Builder) Int(name string, value int64) {
	b.invalid = b.invalid || !isTokenString(name)
	b.buf = append(append(b.buf, name...), ": "...)
	b.buf = append(strconv.AppendInt(b.buf, value, 10), "\r\n"...)
}

// Bytes ends the head and returns it. The bytes are valid until the next Reset.
func (b *Builder) Bytes() ([]byte, error) {
	if b.invalid {
		return nil, errInvalidByte
	}
	b.buf = append(b.buf, "\r\n"...)
	return b.buf, nil
}

func isTokenString(s string) bool { return s != "" && allInString(&tokenByte, s) }

func isValueString(s string) bool { return allInString(&valueByte, s) }

func allInString(class *[256]bool, s string) bool {
	for i := range len(s) {
		if !class[s[i]] {
			return false
		}
	}
	return true
}
