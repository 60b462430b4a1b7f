package http1

// Lengths of bodies that are not known beforehand.
const (
	// LengthChunked is the length of a body in the chunked coding.
	LengthChunked int64 = -1
	// LengthToClose is the length of a response body that ends with the
	// connection.
	LengthToClose int64 = -2
)

// framing is what a head says about its body and about the connection.
type framing struct {
	length int64
	close  bool // the connection ends with this message
}

// Length is the length of the body in bytes, LengthChunked or LengthToClose.
func (f *framing) Length() int64 { return f.length }

// Close reports whether the sender ends the connection with this message.
func (f *framing) Close() bool { return f.close }

// requestFraming applies RFC 9112, 6.3 and 9.3. Where that leaves a choice, it
// refuses.
func (h *RequestHead) requestFraming() error {
	length, chunked, err := h.lengths()
	if err != nil {
		return err
	}
	h.length = max(length, 0)
	if chunked {
		h.length = LengthChunked
	}
	h.close = h.ends()
	return nil
}

// responseFraming does the same for the response to a request with this method.
func (h *ResponseHead) responseFraming(method string) error {
	length, chunked, err := h.lengths()
	if err != nil {
		return err
	}
	h.close = h.ends()
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

// AnnouncedLength is the value of Content-Length, -1 if there is none. Unlike
// Length it is that of the whole object in the response to HEAD.
func (h *Head) AnnouncedLength() int64 {
	length, _, err := h.lengths()
	if err != nil {
		return -1
	}
	return length
}

// lengths reads Content-Length, -1 if there is none, and Transfer-Encoding.
func (h *Head) lengths() (length int64, chunked bool, err error) {
	length = -1
	for _, f := range h.Fields {
		switch {
		case EqualFold(f.Name, "Content-Length"):
			if length >= 0 {
				return 0, false, Error{RuleContentLength, "there is more than one Content-Length"}
			}
			if length, err = parseLength(f.Value); err != nil {
				return 0, false, err
			}
		case EqualFold(f.Name, "Transfer-Encoding"):
			if chunked || !EqualFold(f.Value, "chunked") {
				return 0, false, Error{RuleCoding, "the only Transfer-Encoding that can be read is chunked, once"}
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

// parseLength reads digits alone: no sign, no blank, no list.
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

// ends reports whether the connection is not kept (RFC 9112, 9.3).
func (h *Head) ends() bool {
	if h.Minor == 0 {
		return !h.hasElement("Connection", "keep-alive") || h.hasElement("Connection", "close")
	}
	return h.hasElement("Connection", "close")
}
