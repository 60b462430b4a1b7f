package credcache_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func fileSource(t *testing.T, path string) credcache.Source {
	t.Helper()
	src, err := credcache.NewFile(credcache.FileOptions{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// writeCredentials writes a file with credentials that do not expire and returns its path.
func writeCredentials(t *testing.T, secretKey string) string {
	t.Helper()
	return write(t, t.TempDir(), "credentials.json", credentialsJSON("AKID-1", secretKey, 0))
}

func credentialsJSON(id, secretKey string, expires int64) string {
	return fmt.Sprintf(`{"TmpSecretId":%q,"TmpSecretKey":%q,"Token":%[2]q,"ExpiredTime":%d}`, id, secretKey, expires)
}

func TestFile_Forms(t *testing.T) {
	expires := time.Now().Add(time.Hour).Unix()
	date := time.Unix(expires, 0).UTC().Format(time.RFC3339)
	pair := signer.Credentials{SecretID: "A", SecretKey: "K"}
	triple := signer.Credentials{SecretID: "A", SecretKey: "K", Token: "T"}
	temporary := triple
	temporary.Expires = time.Unix(expires, 0)
	const ini = "# a comment\nsecret_id = ignored\n[other]\nsecret_id=O\nsecret_key=P\n\n[default]\nsecret_id = A\n; another\n" +
		"secret_key=K\nregion = ap-beijing\nnonsense\n"
	for _, tt := range []struct {
		name, profile, content string
		want                   signer.Credentials
	}{
		{"STS SDK", "", fmt.Sprintf(`{"credentials":{"tmpSecretId":"A","tmpSecretKey":"K","sessionToken":"T"},"startTime":1,"expiredTime":%d}`, expires), temporary},
		{"STS API", "", fmt.Sprintf("\n {\"TmpSecretId\":\"A\",\"TmpSecretKey\":\"K\",\"Token\":\"T\",\"ExpiredTime\":%d}\n", expires), temporary},
		{"a date", "", `{"TmpSecretId":"A","TmpSecretKey":"K","Token":"T","Expiration":"` + date + `"}`, temporary},
		{"tccli's pair", "", `{"secretId":"A","secretKey":"K"}`, pair},
		{"tccli's triple", "x", `{"secretId":"A","secretKey":"K","token":"T","type":"default"}`, triple},
		{"tccli's login", "", fmt.Sprintf(`{"type":"oauth","secretId":"A","secretKey":"K","token":"T","expiresAt":%d,
			"oauth":{"openId":"o","accessToken":"a","expiresAt":1,"refreshToken":"r"}}`, expires), temporary},
		{"profiles", "", ini, pair},
		{"a profile by name", "other", ini, signer.Credentials{SecretID: "O", SecretKey: "P"}},
		{"a token in a profile", "", ini + " token = T \r\n[next]\ntoken = U\n", triple},
		{"a value with =", "", "[ default ]\nsecret_id=A\nsecret_key=K=\n", signer.Credentials{SecretID: "A", SecretKey: "K="}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, err := credcache.NewFile(credcache.FileOptions{Path: write(t, t.TempDir(), "credentials", tt.content), Profile: tt.profile})
			if err != nil {
				t.Fatal(err)
			}
			creds, err := src.Fetch(t.Context(), uploads)
			if err != nil || creds != tt.want {
				t.Errorf("got %v, %v, want %v", creds, err, tt.want)
			}
		})
	}
}

func TestFile_Errors(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, content, says, hint string }{
		{"empty", "", "has no profile [default]", "JSON object"},
		{"half a JSON", `{"secretId":"A","secretKey":"` + secret, "is not valid JSON with credentials", "JSON object"},
		{"a number as text", credentialsJSON("A", secret, 0)[:20] + `":1}`, "lacks", "complete credentials"},
		{"no such profile", "[other]\nsecret_key=" + secret, "has no profile [default]", "[section]"},
		{"an open section", "[default\nsecret_key=" + secret, "has no profile", "[section]"},
		{"no SecretId", "[default]\nsecret_key=" + secret, "lacks the SecretId", "complete credentials"},
		{"no SecretKey", `{"secretId":"` + secret + `"}`, "lacks the SecretKey", "complete credentials"},
		{"an expiry without a token", `{"secretId":"A","secretKey":"` + secret + `","expiredTime":4000000000}`, "lacks the session token", "complete credentials"},
		{"expired", credentialsJSON("A", secret, 1), "holds credentials that expired at 1970-01-01T00:00:01Z", "later expiry"},
		{"a blank in the SecretKey", `{"secretId":"A","secretKey":"x ` + secret + `"}`, "has a blank", "complete credentials"},
		{"HTML", "<html>" + secret, "has no profile", "JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, dir, "credentials", tt.content)
			wantSourceError(t.Context(), t, fileSource(t, path), credcache.SourceError{
				Source: "file", Message: path + " " + tt.says, Hint: tt.hint, Retryable: true}, credcache.ErrInvalidResponse)
		})
	}
	for says, path := range map[string]string{
		"no such file":          dir + "/none",
		"is not a regular file": dir,
		"more than 65536 bytes": write(t, dir, "huge", strings.Repeat(secret, 9000)),
	} {
		wantSourceError(t.Context(), t, fileSource(t, path), credcache.SourceError{
			Source: "file", Code: "Unreadable", Message: says, Hint: "may read it", Retryable: true}, nil)
	}
	_, err := credcache.NewFile(credcache.FileOptions{Profile: "default"})
	wantProblem(t, err, "Path")
}

func TestFile_SwappedSymlink(t *testing.T) {
	mounted := newMount(t, map[string]string{"credentials.json": credentialsJSON("AKID-1", secret, 0)})
	src := fileSource(t, mounted.path("credentials.json"))
	for n := 1; n <= 3; n++ {
		creds, err := src.Fetch(t.Context(), uploads)
		if want := fmt.Sprint("AKID-", n); err != nil || creds.SecretID != want {
			t.Fatalf("got %v, %v, want %s", creds, err, want)
		}
		mounted.swap(map[string]string{"credentials.json": credentialsJSON(fmt.Sprint("AKID-", n+1), secret, 0)})
	}
}

// TestFile_Replaced expects that the cache uses new credentials a minute after the file is
// replaced, whatever their expiry, and that an unchanged file is not a failure.
func TestFile_Replaced(t *testing.T) {
	for name, life := range map[string]time.Duration{"no expiry": 0, "a day": 24 * time.Hour, "two hours": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			mounted := newMount(t, map[string]string{"credentials.json": "{}"})
			put := func(n int) {
				expires := int64(0)
				if life != 0 {
					expires = time.Now().Add(life).Unix()
				}
				mounted.swap(map[string]string{"credentials.json": credentialsJSON(fmt.Sprint("AKID-", n), secret, expires)})
			}
			var log bytes.Buffer
			opts := credcache.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			withCache(t, fileSource(t, mounted.path("credentials.json")), opts, func(t *testing.T, c *credcache.Cache) {
				put(1)
				p := c.For(uploads)
				wantCredentials(t, p, 1, 0)
				time.Sleep(time.Hour)
				wantCredentials(t, p, 1, 0)
				put(2)
				time.Sleep(time.Minute + time.Second)
				synctest.Wait()
				wantCredentials(t, p, 2, 0)
				s := c.Stats()[0]
				if s.Failures != 0 || s.Fetches != 62 || s.Expires.IsZero() != (life == 0) {
					t.Errorf("got %+v, want a fetch each minute without a failure, and the expiry of the file", s)
				}
			})
			if n := strings.Count(log.String(), "new credentials"); n != 2 {
				t.Errorf("%d lines, want one for each set of credentials:\n%s", n, &log)
			}
		})
	}
}

func TestFile_ReadAtExpiry(t *testing.T) {
	dir := t.TempDir()
	withCache(t, fileSource(t, dir+"/credentials.json"), credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		end := time.Now().Add(100 * time.Second)
		write(t, dir, "credentials.json", credentialsJSON("AKID-1", secret, end.Unix()))
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		time.Sleep(99 * time.Second)
		wantCredentials(t, p, 1, 0)
		write(t, dir, "credentials.json", credentialsJSON("AKID-2", secret, end.Add(time.Hour).Unix()))
		time.Sleep(time.Second)
		wantCredentials(t, p, 2, 0)
		if s := c.Stats()[0]; s.Fetches != 3 || s.Failures != 0 {
			t.Errorf("got %+v, want fetches at 0, 60 and 100 s", s)
		}
	})
}

func TestFile_Removed(t *testing.T) {
	path := writeCredentials(t, secret)
	withCache(t, fileSource(t, path), credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentials(t, p, 1, 0)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantCredentials(t, p, 1, 0)
		for range 100 { // COS rejects the credentials
			if next := rejectTwice(t, p, 1); next != 0 {
				t.Errorf("got AKID-%d from a removed file", next)
			}
		}
		wantCredentials(t, p, 1, 0)
		if s := c.Stats()[0]; !s.Ready || !strings.Contains(s.LastError, "file: Unreadable") {
			t.Errorf("got %+v, want the credentials and the failure of the file", s)
		}
		write(t, filepath.Dir(path), filepath.Base(path), credentialsJSON("AKID-2", secret, 0))
		time.Sleep(time.Minute)
		synctest.Wait()
		wantCredentials(t, p, 2, 0)
	})
}

// FuzzFile puts a secret into the content: the source must return valid credentials or a
// one-line error that does not quote the content.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "{", "{}", "null", credentialsJSON("A", "K", 4_000_000_000), `{"secretId":"A","secretKey":"K"}`, `{"expiredTime":-1,"secretKey":1}`,
		`{"credentials":{"tmpSecretId":"A","tmpSecretKey":"K","sessionToken":"T"},"expiration":"2100-01-01T00:00:00Z"}`,
		"[default]\nsecret_id=A\nsecret_key=K", "[default", "[", "=\n]", "[default]\r\ntoken\n=", "\xff\x00{",
	} {
		f.Add(seed)
	}
	path := f.TempDir() + "/credentials"
	f.Fuzz(func(t *testing.T, content string) {
		for _, content := range []string{content, strings.ReplaceAll(content, "K", secret)} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			creds, err := fileSource(t, path).Fetch(t.Context(), uploads)
			var failed *credcache.SourceError
			switch {
			case err == nil && (creds.SecretID == "" || creds.SecretKey == "" || creds.Expired(time.Now())):
				t.Errorf("%q gives invalid credentials: %v", content, creds)
			case err == nil && creds.Token == "" && !creds.Expires.IsZero():
				t.Errorf("%q expires and has no token", content)
			case err == nil:
			case !errors.As(err, &failed) || !failed.Retryable || creds != (signer.Credentials{}):
				t.Errorf("%q gives %v, %v", content, creds, err)
			case strings.Contains(err.Error(), secret) || strings.ContainsAny(err.Error(), "\r\n"):
				t.Errorf("%q gives %q", content, err)
			}
		}
	})
}
