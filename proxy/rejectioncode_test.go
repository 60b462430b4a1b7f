package proxy

import "testing"

func TestRejectionCode(t *testing.T) {
	tests := []struct{ code, message, want string }{
		{"ExpiredToken", "expired", "ExpiredToken"},
		{"InvalidAccessKeyId", "", "InvalidAccessKeyId"},
		{"InvalidToken", "", "InvalidToken"},
		{"RequestTimeTooSkewed", "", "RequestTimeTooSkewed"},
		{"AccessDenied", "Request has expired", "AccessDenied"},
		{"AccessDenied", " ExpiredToken ", "ExpiredToken"},
		{"AccessDenied", "InvalidAccessKeyId: unknown", "InvalidAccessKeyId"},
		{"AccessDenied", "ExpiredTokens", ""},
		{"AccessDenied", "Access Denied.", ""},
		{"AccessDenied", "", ""},
		{"NoSuchKey", "ExpiredToken", ""},
		{"expiredtoken", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		if got := RejectionCode(tt.code, tt.message); got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.code, tt.message, got, tt.want)
		}
	}
}
