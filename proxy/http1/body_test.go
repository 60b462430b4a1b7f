package http1

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBody(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1000)
	for _, tt := range []struct {
		name   string
		length int64
		text   string
		want   string
		rest   string
		err    error // nil: io.EOF
	}{
		{"none", 0, "next", "", "next", nil},
		{"a length", 5, "hellonext", "hello", "next", nil},
		{"a long body", int64(len(long)), long + "next", long, "next", nil},
		{"incomplete", 5, "hell", "hell", "", io.ErrUnexpectedEOF},
		{"incomplete, no byte", 5, "", "", "", io.ErrUnexpectedEOF},
		{"to the close", LengthToClose, long, long, "", nil},
		{"chunks", LengthChunked, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext", "hello world", "next", nil},
		{"a long chunk", LengthChunked, "3e80\r\n" + long + "\r\n0\r\n\r\nnext", long, "next", nil},
		{"no chunk", LengthChunked, "0\r\n\r\nnext", "", "next", nil},
		{"leading zeros", LengthChunked, "0005\r\nhello\r\n000\r\n\r\nnext", "hello", "next", nil},
		{"an extension", LengthChunked, "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\nnext", "hello", "next", nil},
		{"whitespace before an extension", LengthChunked, "5 \t;a\r\nhello\r\n0\r\n\r\nnext", "hello", "next", nil},
		{"trailers", LengthChunked, "5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 3\r\n\r\nnext", "hello", "next", nil},
		{"an incomplete chunk", LengthChunked, "5\r\nhel", "hel", "", io.ErrUnexpectedEOF},
		{"no last chunk", LengthChunked, "5\r\nhello\r\n", "hello", "", io.ErrUnexpectedEOF},
		{"no end of trailers", LengthChunked, "5\r\nhello\r\n0\r\n", "hello", "", io.ErrUnexpectedEOF},
		{"an incomplete size", LengthChunked, "5", "", "", io.ErrUnexpectedEOF},
		{"a size without digits", LengthChunked, "\r\nhello", "", "", errChunk},
		{"a sign", LengthChunked, "+5\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"a prefix", LengthChunked, "0x5\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"an underscore", LengthChunked, "0_5\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"a leading space", LengthChunked, " 5\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"a size of more than 60 bits", LengthChunked, "1000000000000005\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"a bare LF after a size", LengthChunked, "5\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"a bare CR in an extension", LengthChunked, "5;\rx\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"a chunk longer than its size", LengthChunked, "5\r\nhelloX\r\n0\r\n\r\n", "hello", "", errChunk},
		{"a bare LF after a chunk", LengthChunked, "5\r\nhello\n0\r\n\r\n", "hello", "", errChunk},
		{"no line end after a chunk", LengthChunked, "5\r\nhello0\r\n\r\n", "hello", "", errChunk},
		{"a bare LF at the end", LengthChunked, "5\r\nhello\r\n0\r\n\n", "hello", "", errChunk},
		{"a folded trailer", LengthChunked, "0\r\nX: a\r\n b\r\n\r\n", "", "", Error{RuleFolding, "a field continues on the next line"}},
		{"an extension without end", LengthChunked, "5;" + strings.Repeat("a", 5000), "", "", errChunk},
		{"a long extension", LengthChunked, "5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"many trailers", LengthChunked, "0\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", "", "", Error{RuleHeadTooLarge, "the body has too many trailer fields"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, bytewise := range []bool{false, true} {
				var src io.Reader = strings.NewReader(tt.text)
				if bytewise {
					src = iotest.OneByteReader(src)
				}
				r := &reader{src: src}
				var b Body
				b.reset(r, tt.length, testLimits)
				got, err := io.ReadAll(&b)
				if string(got) != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Fatalf("bytewise %v: read %.20q and %v, want %.20q and %v", bytewise, got, err, tt.want, tt.err)
				}
				if b.Ended() != (tt.err == nil) {
					t.Errorf("Ended is %v", b.Ended())
				}
				if _, again := b.Read(make([]byte, 1)); tt.err == nil && !isEOF(again) || tt.err != nil && !errors.Is(again, tt.err) {
					t.Errorf("the next Read returned %v", again)
				}
				if rest, _ := io.ReadAll(r); tt.err == nil && string(rest) != tt.rest {
					t.Errorf("%q follows, want %q", rest, tt.rest)
				}
			}
		})
	}
}

func TestBody_EndedAfterLastByte(t *testing.T) {
	var b Body
	b.reset(&reader{src: strings.NewReader("hello")}, 5, testLimits)
	if n, err := b.Read(make([]byte, 9)); n != 5 || err != nil || !b.Ended() || b.Count() != 5 {
		t.Errorf("read %d, %v; ended %v after %d", n, err, b.Ended(), b.Count())
	}
}
