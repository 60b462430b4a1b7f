package signer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cosproxy/signer"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	const minute = 1700000040 // a multiple of 60
	at := time.Unix
	tests := []struct {
		name         string
		now, expires time.Time
		want         string
	}{
		{"first instant of a minute", at(minute, 0), time.Time{}, "1699999980;1700003580"},
		{"last instant of a minute", at(minute+59, 999999999), time.Time{}, "1699999980;1700003580"},
		{"next minute", at(minute+60, 0), time.Time{}, "1700000040;1700003640"},
		{"credentials outlive the window", at(minute, 0), at(minute+7200, 0), "1699999980;1700003580"},
		{"credentials expire with the window", at(minute, 0), at(minute+3540, 0), "1699999980;1700003580"},
		{"credentials expire before the window", at(minute, 0), at(minute+1800, 0), "1699999980;1700001840"},
		{"rounded down to seconds", at(minute, 0), at(minute+1800, 999999999), "1699999980;1700001840"},
		{"last second before the expiry", at(minute+30, 100), at(minute+30, 200), "1699999980;1700000070"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := signer.KeyTime(tt.now, tt.expires); got != tt.want {
				t.Errorf("KeyTime = %s, want %s", got, tt.want)
			}
			req := newRequest(t, http.MethodGet, "/obj", nil)
			var s signer.Signer
			if err := s.Sign(req, signer.Credentials{SecretID: "id", SecretKey: "key", Expires: tt.expires}, tt.now); err != nil {
				t.Fatal(err)
			}
			if want := "&q-sign-time=" + tt.want + "&q-key-time=" + tt.want + "&"; !strings.Contains(req.Header.Get("Authorization"), want) {
				t.Errorf("Authorization %s lacks %s", req.Header.Get("Authorization"), want)
			}
		})
	}
}

// TestWindow_AgeAndRest checks each second of two minutes: the window is 60 to 120 s old, is
// valid now, and has at least 58 minutes left.
func TestWindow_AgeAndRest(t *testing.T) {
	t.Parallel()
	for sec := int64(1700000000); sec < 1700000120; sec++ {
		var start, end int64
		if _, err := fmt.Sscanf(signer.KeyTime(time.Unix(sec, 0), time.Time{}), "%d;%d", &start, &end); err != nil {
			t.Fatal(err)
		}
		if age := sec - start; age < 60 || age >= 120 {
			t.Errorf("at %d the window is %d s old", sec, age)
		}
		if left := end - sec; left <= 58*60 || left > 59*60 {
			t.Errorf("at %d the window has %d s left", sec, left)
		}
	}
}

func TestSignKeys_Cache(t *testing.T) {
	t.Parallel()
	minute := time.Unix(1700000040, 0)
	var s signer.Signer
	sign := func(id, secret string, at time.Time) string {
		t.Helper()
		req := newRequest(t, http.MethodGet, "/obj", nil)
		creds := signer.Credentials{SecretID: id, SecretKey: secret}
		if err := s.Sign(req, creds, at); err != nil {
			t.Fatal(err)
		}
		fresh := newRequest(t, http.MethodGet, "/obj", nil)
		if err := new(signer.Signer).Sign(fresh, creds, at); err != nil {
			t.Fatal(err)
		}
		authorization := req.Header.Get("Authorization")
		if want := fresh.Header.Get("Authorization"); authorization != want {
			t.Errorf("from the cache %s\nwithout it %s", authorization, want)
		}
		return authorization
	}
	holds := func(step string, want int) {
		t.Helper()
		if got := s.CachedSignKeys(); got != want {
			t.Errorf("%s: %d SignKeys, want %d", step, got, want)
		}
	}
	holds("unused", 0)
	first := sign("a", "key a", minute)
	if again := sign("a", "key a", minute.Add(59*time.Second)); again != first {
		t.Errorf("the same request within the minute: %s, then %s", first, again)
	}
	holds("one key, one minute", 1)
	for range 3 {
		sign("b", "key b", minute)
		sign("a", "key a", minute)
	}
	holds("two keys by turns", 2)
	if sign("a", "another secret", minute) == first {
		t.Error("a new secret under the same id was signed with the old SignKey")
	}
	holds("one id, two secrets", 3)
	sign("a", "key a", minute.Add(time.Minute))
	holds("the next minute", 1)
	sign("a", "key a", minute.Add(-time.Hour))
	holds("a clock set back", 1)
	for i := range 3 * signer.MaxSignKeys {
		sign(fmt.Sprint(i), "key", minute)
		if n := s.CachedSignKeys(); n > signer.MaxSignKeys {
			t.Fatalf("%d SignKeys, more than the limit %d", n, signer.MaxSignKeys)
		}
	}
}
