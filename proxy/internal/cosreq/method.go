package cosreq

import "net/http"

// AllowedMethods are the methods of COS's XML API, as the Allow field lists them.
const AllowedMethods = "GET, HEAD, PUT, POST, DELETE, OPTIONS"

// KnownMethod returns a method of COS's XML API as a string, or "" for any other method.
// Methods are case-sensitive (RFC 9110, 9.1). It does not allocate.
func KnownMethod(method []byte) string {
	switch string(method) {
	case http.MethodGet:
		return http.MethodGet
	case http.MethodHead:
		return http.MethodHead
	case http.MethodPut:
		return http.MethodPut
	case http.MethodPost:
		return http.MethodPost
	case http.MethodDelete:
		return http.MethodDelete
	case http.MethodOptions:
		return http.MethodOptions
	}
	return ""
}

// ReadsOnly reports whether a method is GET or HEAD.
func ReadsOnly(method string) bool { return method == http.MethodGet || method == http.MethodHead }
