package proxy

import (
	"testing"

	"cosproxy/proxy/http1"
)

func TestContentRange(t *testing.T) {
	tests := []struct {
		value string
		want  byteRange
		ok    bool
	}{
		{"bytes 0-9/10", byteRange{0, 9, 10}, true},
		{"bytes 5-5/10", byteRange{5, 5, 10}, true},
		{"bytes 5-10/10", byteRange{}, false},
		{"bytes 6-5/10", byteRange{}, false},
		{"bytes 0-9/*", byteRange{}, false},
		{"bytes */10", byteRange{}, false},
		{"bytes -1-9/10", byteRange{}, false},
		{"bytes +1-9/10", byteRange{}, false},
		{"bytes 0-9", byteRange{}, false},
		{"items 0-9/10", byteRange{}, false},
		{"bytes 0-9/9223372036854775808", byteRange{}, false},
		{"", byteRange{}, false},
	}
	for _, tt := range tests {
		r := &response{Response: &http1.Response{}}
		r.Fields = []http1.Field{{Name: []byte("Content-Range"), Value: []byte(tt.value)}}
		got, ok := r.contentRange()
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v, %v", tt.value, got, ok)
		}
	}
}
