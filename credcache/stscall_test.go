package credcache

import "testing"

func TestParseHost(t *testing.T) {
	for _, tt := range []struct {
		endpoint string
		valid    bool
	}{
		{"https://sts.example.com", true}, {"http://127.0.0.1:8080/", true}, {"https://[::1]:1", true},
		{"", false}, {"sts.example.com", false}, {"ftp://sts.example.com", false}, {"https://", false}, {"https://:443", false},
		{"https://sts.example.com:", false}, {"https://sts.example.com/x", false}, {"https://sts.example.com/?", false},
		{"https://sts.example.com/#", false}, {"https://u:p@sts.example.com", false}, {"https://%zz", false},
	} {
		if _, err := parseHost(tt.endpoint, "https://sts.example.com"); (err == nil) != tt.valid {
			t.Errorf("%q: %v, want valid %v", tt.endpoint, err, tt.valid)
		}
	}
}
