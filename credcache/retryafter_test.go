package credcache

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	date := func(after time.Duration) string { return ruleTime.Add(after).UTC().Format(http.TimeFormat) }
	for _, tt := range []struct {
		name   string
		status int
		value  string
		date   string // field of the response
		want   time.Duration
	}{
		{"seconds", 503, "17", "", 17 * time.Second},
		{"429", 429, "17", "", 17 * time.Second},
		{"other status", 500, "17", "", 0},
		{"redirect", 302, "17", "", 0},
		{"none", 503, "", "", 0},
		{"more than the maximum", 503, "86400", "", 5 * time.Minute},
		{"huge", 503, "9223372036854775807", "", 5 * time.Minute},
		{"overflow", 503, "99999999999999999999", "", 0},
		{"negative", 503, "-1", "", 0},
		{"fraction", 503, "1.5", "", 0},
		{"text", 503, "soon", "", 0},
		{"date", 503, date(time.Minute), "", time.Minute},
		{"date, the clock of the server is 1 h behind", 503, date(time.Minute - time.Hour), date(-time.Hour), time.Minute},
		{"date, invalid Date", 503, date(time.Minute), "today", time.Minute},
		{"past date", 503, date(-time.Minute), "", 0},
		{"distant date", 503, date(24 * time.Hour), "", 5 * time.Minute},
	} {
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{}}
		for name, value := range map[string]string{"Retry-After": tt.value, "Date": tt.date} {
			if value != "" {
				resp.Header.Set(name, value)
			}
		}
		if got := retryAfter(resp, ruleTime); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
