package signer

// AppendS3Path appends the canonical form of a decoded path, which begins with a slash. S3
// servers sign either the path as it was sent or the decoded path in this form, so only a path
// that was sent in this form has one signature. All bytes are escaped except for "/" and the
// unreserved characters of RFC 3986, with upper-case digits.
func AppendS3Path(dst []byte, path string) []byte {
	for i := range len(path) {
		if b := path[i]; isPlainInPath(b) {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', upperHex[b>>4], upperHex[b&15])
		}
	}
	return dst
}

func isPlainInPath(b byte) bool { return unreserved[b] != ' ' || b == '/' }

// isCanonicalPath reports whether path is a result of AppendS3Path.
func isCanonicalPath(path string) bool {
	for i := 0; i < len(path); i++ {
		b := path[i]
		if isPlainInPath(b) {
			continue
		}
		if b != '%' || i+2 >= len(path) || !isUpperHex(path[i+1]) || !isUpperHex(path[i+2]) ||
			isPlainInPath(unhex(path[i+1])<<4|unhex(path[i+2])) {
			return false
		}
		i += 2
	}
	return path != "" && path[0] == '/'
}

func isUpperHex(b byte) bool { return isHex(b) && (b < 'a') }
