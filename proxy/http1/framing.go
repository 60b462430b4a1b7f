package http1

import "bytes"

// Values of a length that is not known in advance.
const (
	// LengthChunked means a body in the chunked coding (RFC 9112, 7.1).
	LengthChunked int64 = -1
	// LengthToClose means a response body that ends with the connection (RFC 9112,
	// 6.3, rule 8).
	LengthToClose int64 = -2
)

// framing is the length of a body and whether the connection persists, as the head
// determines them.
type framing struct {
	length int64
	close  bool // the connection ends after this message
}

// Length is the length of the body in bytes, LengthChunked or LengthToClose.
func (f *framing) Length() int64 { return f.length }

// Close reports whether the connection ends after this message.
func (f *framing) Close() bool { return f.close }

// requestFraming applies RFC 9112, 6.3 and 9.3. It rejects messages that the RFC allows
// a recipient to repair.
func (h *RequestHead) requestFraming() error {
	length, chunked, err := h.bodyLengths()
	if err != nil {
		return err
	}
	h.length = max(length, 0)
	if chunked {
		h.length = LengthChunked
	}
	h.close = h.closesConnection()
	return nil
}

// responseFraming does the same for the response to a request with the given method.
func (h *ResponseHead) responseFraming(method string) error {
	length, chunked, err := h.bodyLengths()
	if err != nil {
		return err
	}
	h.close = h.closesConnection()
	switch {
	case method == "HEAD" || h.Status < 200 || h.Status == 204 || h.Status == 304:
		h.length = 0
	case chunked:
		h.length = LengthChunked
	case length >= 0:
		h.length = length
	default:
		h.length, h.close = LengthToClose, true
	}
	return nil
}

// AnnouncedLength is the value of Content-Length, or -1 if that is missing or invalid.
// In a response to HEAD it is the size of the object, while Length is zero.
func (h *Head) AnnouncedLength() int64 {
	length, _, err := h.bodyLengths()
	if err != nil {
		return -1
	}
	return length
}

// bodyLengths parses Content-Length, -1 if there is none, and Transfer-Encoding. Equal
// Content-Lengths count as one (RFC 9110, 8.6): rclone sends two.
func (h *Head) bodyLengths() (length int64, chunked bool, err error) {
	length = -1
	var first []byte // value of Content-Length
	for _, f := range h.Fields {
		switch {
		case EqualFold(f.Name, "Content-Length"):
			if length >= 0 && !bytes.Equal(f.Value, first) {
				return 0, false, Error{RuleContentLength, "there are several Content-Lengths with different values"}
			}
			first = f.Value
			if length, err = parseLength(f.Value); err != nil {
				return 0, false, err
			}
		case EqualFold(f.Name, "Transfer-Encoding"):
			if chunked || !EqualFold(f.Value, "chunked") {
				return 0, false, Error{RuleCoding, "the only supported Transfer-Encoding is chunked, once"}
			}
			chunked = true
		}
	}
	switch {
	case chunked && h.Minor == 0:
		return 0, false, Error{RuleOldCoding, "HTTP/1.0 has no Transfer-Encoding"}
	case chunked && length >= 0:
		return 0, false, Error{RuleTwoLengths, "there are both Content-Length and Transfer-Encoding"}
	}
	return length, chunked, nil
}

// parseLength parses 1*DIGIT (RFC 9110, 8.6). It accepts neither a sign nor whitespace
// nor a list.
func parseLength(value []byte) (int64, error) {
	if len(value) == 0 || len(value) > 18 { // 18 digits fit an int64
		return 0, Error{RuleContentLength, "the Content-Length is not a number of bytes"}
	}
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, Error{RuleContentLength, "the Content-Length is not a number of bytes"}
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// closesConnection reports whether the connection does not persist (RFC 9112, 9.3).
func (h *Head) closesConnection() bool {
	if h.Minor == 0 {
		return !h.hasElement("Connection", "keep-alive") || h.hasElement("Connection", "close")
	}
	return h.hasElement("Connection", "close")
}
