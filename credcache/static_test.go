package credcache_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func TestStatic_NoExpiry(t *testing.T) {
	for name, creds := range map[string]signer.Credentials{
		"long-lived key pair": {SecretID: "AKID-1", SecretKey: secret},
		"triple":              {SecretID: "AKID-1", SecretKey: secret, Token: secret},
	} {
		t.Run(name, func(t *testing.T) {
			withCache(t, credcache.NewStatic(creds), credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				p := c.For(uploads)
				wantCredentials(t, p, 1, 0)
				time.Sleep(10_000 * time.Hour)
				synctest.Wait()
				wantCredentials(t, p, 1, 0)
				if s := c.Stats()[0]; !s.Ready || s.Fetches != 1 || !s.Expires.IsZero() {
					t.Errorf("got %+v, want one fetch and no expiry", s)
				}
			})
		})
	}
}

func TestStatic_Expiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := credcache.New(credcache.NewStatic(temporary(1, time.Hour)), credcache.Options{})
		defer c.Close()
		p := c.For(uploads)
		for range 3600 {
			wantCredentials(t, p, 1, 0)
			time.Sleep(time.Second)
		}
		_, err := p.Credentials(t.Context())
		var unavailable *credcache.UnavailableError
		var cause *credcache.SourceError
		if !errors.As(err, &unavailable) || !errors.As(err, &cause) {
			t.Fatalf("got %v, want an UnavailableError from the static source", err)
		}
		if cause.Retryable || cause.Code != "Expired" {
			t.Errorf("got %+v", cause)
		}
		for _, word := range []string{"AKID-1", "expired at 2000-01-01T01:00:00Z", "configure a new SecretId"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	})
}

func TestStatic_Rejected(t *testing.T) {
	static := credcache.NewStatic(signer.Credentials{SecretID: "AKID-1", SecretKey: secret})
	withCache(t, static, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		for range 100 {
			if next := rejectTwice(t, p, 1); next > 1 {
				t.Errorf("got AKID-%d", next)
			}
			wantReady(t, c)
			wantCredentials(t, p, 1, 0)
		}
	})
}
