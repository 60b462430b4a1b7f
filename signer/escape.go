package signer

import "fmt"

// unreserved is a table of 256 bytes. unreserved[b] is b if COS does not escape b, and a blank
// otherwise. COS does not escape A-Z a-z 0-9 - _ . ~ (the list in "Request signature",
// 436/7778, which is the unreserved set of RFC 3986, section 2.3). Unlike other encoders, COS
// escapes "*" and "/".
const unreserved = "                                " +
	"             -. 0123456789      " +
	" ABCDEFGHIJKLMNOPQRSTUVWXYZ    _" +
	" abcdefghijklmnopqrstuvwxyz   ~ " +
	"                                                                " +
	"                                                                "

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// appendEscaped appends UrlEncode(value): every byte outside the unreserved set becomes %XX
// in upper case. A space is %20, not "+".
func appendEscaped(dst, value []byte) []byte {
	// Most bytes belong to session tokens, which have no byte to escape.
	plain := plainPrefix(value)
	dst = append(dst, value[:plain]...)
	for _, b := range value[plain:] {
		if unreserved[b] != ' ' {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', upperHex[b>>4], upperHex[b&15])
		}
	}
	return dst
}

// plainPrefix returns the length of the prefix without bytes to escape.
func plainPrefix(value []byte) int {
	for i, b := range value {
		if unreserved[b] == ' ' {
			return i
		}
	}
	return len(value)
}

// appendKey appends lower(UrlEncode(key)), including lower-case escapes.
func appendKey[T string | []byte](dst []byte, key T) []byte {
	for i := range len(key) {
		b := key[i]
		if unreserved[b] != ' ' {
			dst = append(dst, lower(b))
		} else {
			dst = append(dst, '%', lowerHex[b>>4], lowerHex[b&15])
		}
	}
	return dst
}

// appendUnescaped appends the decoded form of one key or value of a raw query. "+" is a space:
// the Go and Python SDKs send spaces as "+" and sign %20, which works only if COS decodes it
// this way. A raw ";" is data, as in the Node, Python and Java SDKs. url.ParseQuery would drop
// the pair: it would be sent, but not signed.
//
// An invalid escape is an error: COS may read it as data or reject it. A raw blank or control
// byte is an error too, because it would break the request line.
func appendUnescaped(dst []byte, raw string) ([]byte, error) {
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case b == '+':
			dst = append(dst, ' ')
		case b == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return dst, fmt.Errorf("%w: its query has the invalid escape %q; write a literal %% as %%25",
					ErrRequest, raw[i:min(i+3, len(raw))])
			}
			dst = append(dst, unhex(raw[i+1])<<4|unhex(raw[i+2]))
			i += 2
		case b <= ' ' || b == 0x7f:
			return dst, fmt.Errorf("%w: its query has the raw byte %q; write it as %%%02X", ErrRequest, b, b)
		default:
			dst = append(dst, b)
		}
	}
	return dst, nil
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + ('a' - 'A')
	}
	return b
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= lower(b) && lower(b) <= 'f'
}

// unhex returns the value of the hex digit b.
func unhex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return lower(b) - 'a' + 10
}
