package signer

import "fmt"

// unreserved has, at the index of every byte that COS leaves unescaped, that
// byte, and a blank everywhere else: A-Z a-z 0-9 - _ . ~ (the list in "Request
// signature", 436/7778, which is the unreserved set of RFC 3986, section 2.3).
// Note "*" and "/", which other encoders leave alone and COS does not.
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

// appendEscaped appends UrlEncode(value): every byte outside the unreserved set
// as %XX in upper case, so that a space is %20 and never "+".
func appendEscaped(dst, value []byte) []byte {
	// Tokens, most of what is escaped, are long and have nothing to escape.
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

func plainPrefix(value []byte) int {
	for i, b := range value {
		if unreserved[b] == ' ' {
			return i
		}
	}
	return len(value)
}

// appendKey appends lower(UrlEncode(key)): the letters of its escapes are lower
// case as well.
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

// appendUnescaped appends one key or value of a raw query, decoded. "+" is a
// space, because the Go and Python SDKs write spaces so and sign %20, which
// works only if COS reads it so. A raw ";" is data, as the Node, Python and Java
// SDKs have it; url.ParseQuery would drop the pair, unsigned but still sent.
//
// A broken escape is an error: COS may read it as data or refuse it. So is a
// raw blank or control byte, which would break the request line.
func appendUnescaped(dst []byte, raw string) ([]byte, error) {
	for i := 0; i < len(raw); i++ {
		switch b := raw[i]; {
		case b == '+':
			dst = append(dst, ' ')
		case b == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return dst, fmt.Errorf("%w: its query has the broken escape %q; write a literal %% as %%25",
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
