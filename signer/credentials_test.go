package signer_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cosproxy/signer"
)

func TestCredentials_ShowNoSecret(t *testing.T) {
	t.Parallel()
	creds := signer.Credentials{
		SecretID: "AKIDexample", SecretKey: "the-secret-key", Token: "the-token",
		Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("value", "creds", creds)
		slog.New(handler).Info("pointer", "creds", &creds)
		slog.New(handler).Info("list", "creds", []signer.Credentials{creds})
		slog.New(handler).Info("field", "creds", struct{ Key signer.Credentials }{creds})
	}
	shown := append(strings.Split(strings.TrimSpace(log.String()), "\n"), creds.String())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, creds), fmt.Sprintf(verb, &creds),
			fmt.Sprintf(verb, []signer.Credentials{creds}), fmt.Sprintf(verb, struct{ C signer.Credentials }{creds}))
	}
	for _, text := range shown {
		if strings.Contains(text, "the-secret-key") || strings.Contains(text, "the-token") {
			t.Errorf("a secret is shown: %s", text)
		}
		if !strings.Contains(text, "AKIDexample") || !strings.Contains(text, "2030-01-02T03:04:05") {
			t.Errorf("id or expiry is not shown: %s", text)
		}
	}
	if got, want := (signer.Credentials{SecretID: "AKIDexample"}).String(), "credentials AKIDexample (no expiry)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestCredentials_Expired(t *testing.T) {
	t.Parallel()
	expires := time.Unix(1700000000, 0)
	creds := signer.Credentials{Expires: expires}
	if creds.Expired(expires.Add(-time.Nanosecond)) {
		t.Error("expired one nanosecond before Expires")
	}
	if !creds.Expired(expires) {
		t.Error("not expired at Expires")
	}
	if (signer.Credentials{}).Expired(expires) {
		t.Error("credentials without expiry have expired")
	}
}
