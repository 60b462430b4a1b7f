package credcache_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/signer"
)

// callerOf returns a provider of the credentials of src, without a scope.
func callerOf(t *testing.T, src credcache.Source) *credcache.Provider {
	t.Helper()
	c := credcache.New(src, credcache.Options{})
	t.Cleanup(c.Close)
	return c.For(credcache.Scope{Region: "ap-shanghai"})
}

// tc3Signature computes the signature of a request with fields that a client sends, in the
// steps of "Signature v3".
func tc3Signature(secretKey, date string, r *http.Request, body string) string {
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	mac := func(key, s string) string {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(s))
		return string(h.Sum(nil))
	}
	canonical := strings.Join([]string{r.Method, r.URL.Path, r.URL.RawQuery,
		"content-type:" + r.Header.Get("Content-Type"), "host:" + r.Host, "", "content-type;host", hash(body)}, "\n")
	text := strings.Join([]string{"TC3-HMAC-SHA256", r.Header.Get("X-TC-Timestamp"), date + "/sts/tc3_request", hash(canonical)}, "\n")
	return hex.EncodeToString([]byte(mac(mac(mac(mac("TC3"+secretKey, date), "sts"), "tc3_request"), text)))
}

func TestRole_CallerRequest(t *testing.T) {
	policy, err := os.ReadFile("testdata/policy/upload.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*credcache.RoleOptions)
		want   map[string]any
	}{
		{"defaults", func(*credcache.RoleOptions) {}, map[string]any{
			"RoleArn": exampleRole, "RoleSessionName": "cosproxy", "DurationSeconds": 1800.0}},
		{"all given", func(o *credcache.RoleOptions) {
			o.SessionName, o.ExternalID, o.Duration = "pod-1@example", "tenant/7", 12*time.Hour
		}, map[string]any{"RoleArn": exampleRole, "RoleSessionName": "pod-1@example", "ExternalId": "tenant/7", "DurationSeconds": 43200.0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expires := time.Now().Add(time.Hour).Unix()
			server := stsServer(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				for name, want := range map[string]string{
					"X-TC-Action": "AssumeRole", "X-TC-Version": "2018-08-13", "X-TC-Region": "ap-beijing",
					"X-TC-Token": secret, "Content-Type": "application/json",
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %s, want %s", name, got, want)
					}
				}
				seconds, err := strconv.ParseInt(r.Header.Get("X-TC-Timestamp"), 10, 64)
				at := time.Unix(seconds, 0).UTC()
				if err != nil || time.Since(at).Abs() > time.Minute {
					t.Errorf("X-TC-Timestamp: %s", r.Header.Get("X-TC-Timestamp"))
				}
				date := at.Format("2006-01-02")
				want := "TC3-HMAC-SHA256 Credential=AKID-1/" + date + "/sts/tc3_request, SignedHeaders=content-type;host, Signature=" +
					tc3Signature(secret, date, r, string(body))
				if got := r.Header.Get("Authorization"); got != want || r.URL.Path != "/" || r.Method != http.MethodPost {
					t.Errorf("%s %s, Authorization\n%s, want\n%s", r.Method, r.URL, got, want)
				}
				var params map[string]any
				if err := json.Unmarshal(body, &params); err != nil {
					t.Error(err)
				}
				var got, golden any
				text, err := url.QueryUnescape(fmt.Sprint(params["Policy"]))
				if err != nil || json.Unmarshal([]byte(text), &got) != nil || json.Unmarshal(policy, &golden) != nil || !reflect.DeepEqual(got, golden) {
					t.Errorf("the policy is\n%s\nwant\n%s", text, policy)
				}
				if delete(params, "Policy"); !reflect.DeepEqual(params, tt.want) {
					t.Errorf("parameters %v, want %v", params, tt.want)
				}
				issue(w, expires)
			})
			creds, err := roleSource(t, server.URL, func(o *credcache.RoleOptions) {
				o.Pair, o.Caller = nil, callerOf(t, credcache.NewStatic(temporary(1, 0)))
				tt.change(o)
			}).Fetch(t.Context(), uploads)
			want := signer.Credentials{SecretID: "AKID-1", SecretKey: secret, Token: secret, Expires: time.Unix(expires, 0)}
			if err != nil || creds != want {
				t.Errorf("got %v, %v, want %v", creds, err, want)
			}
		})
	}
}

func TestNewRole_CallerOptions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*credcache.RoleOptions)
		field  string
	}{
		{"a caller", func(*credcache.RoleOptions) {}, ""},
		{"a caller and a pair", func(o *credcache.RoleOptions) { o.Pair = longLived }, "Pair"},
		{"no role", func(o *credcache.RoleOptions) { o.RoleARN = "" }, "RoleARN"},
		{"too long a life", func(o *credcache.RoleOptions) { o.Duration = 13 * time.Hour }, "Duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := credcache.RoleOptions{Caller: new(credcache.Provider), RoleARN: exampleRole}
			tt.change(&opts)
			_, err := credcache.NewRole(opts)
			wantProblem(t, err, tt.field)
		})
	}
}

// stsOfRoles is an STS in memory, for tests in virtual time: it issues credentials of life and
// accepts calls of the SecretIds that are not in rejected.
type stsOfRoles struct {
	life time.Duration

	mu       sync.Mutex
	callers  []string          // SecretIds, in the order of the calls
	rejected map[string]string // SecretId to error code
	fail     string            // error code of all calls; "": none
	hang     bool
}

func (s *stsOfRoles) RoundTrip(r *http.Request) (*http.Response, error) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	s.callers = append(s.callers, id)
	n, code, hang := len(s.callers), s.rejected[id], s.hang
	if code == "" {
		code = s.fail
	}
	s.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	if code != "" {
		fmt.Fprintf(w, `{"Response":{"Error":{"Code":%q,"Message":"not with %s"},"RequestId":"req-7"}}`, code, secret)
		return w.Result(), nil
	}
	fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":"%[1]s","TmpSecretId":"AKID-role-%[2]d","TmpSecretKey":"%[1]s"},"ExpiredTime":%[3]d}}`,
		secret, n, time.Now().Add(s.life).Unix())
	return w.Result(), nil
}

func (s *stsOfRoles) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.callers)
}

func (s *stsOfRoles) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// withChain runs test in virtual time with a cache of a role that the credentials of first
// assume. Its log must not contain a secret.
func withChain(t *testing.T, first credcache.Source, sts *stsOfRoles, test func(t *testing.T, c *credcache.Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		opts := credcache.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}.WithRand(func() float64 { return 0.5 })
		callers := credcache.New(first, opts)
		defer callers.Close()
		role, err := credcache.NewRole(credcache.RoleOptions{
			Caller: callers.For(credcache.Scope{Region: "ap-beijing"}), RoleARN: exampleRole, Endpoint: "http://sts.example", Transport: sts,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := credcache.New(role, opts)
		defer c.Close()
		test(t, c)
		fmt.Fprintf(&log, "%+v %+v", c.Stats(), callers.Stats())
		if strings.Contains(log.String(), secret) {
			t.Errorf("a secret leaked:\n%s", log.String())
		}
	})
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// scopes returns n scopes of one bucket.
func scopes(n int) []credcache.Scope {
	all := make([]credcache.Scope, n)
	for i := range all {
		all[i] = uploads
		all[i].AllowPrefixes = []string{fmt.Sprintf("%d/*", i)}
	}
	return all
}

// TestChain_SharedCaller runs ten scopes for two hours: the first role is called once for
// each of its lifetimes, however often the second one is.
func TestChain_SharedCaller(t *testing.T) {
	first, sts := &issuer{life: 2 * time.Hour, delay: time.Second}, &stsOfRoles{life: 30 * time.Minute}
	withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
		start := time.Now()
		for _, scope := range scopes(10) {
			c.For(scope).Warm()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := sts.calls(); first.count() != 1 || len(got) != 10 || slices.ContainsFunc(got, func(id string) bool { return id != "AKID-1" }) {
			t.Errorf("%d calls of the first role, then %q", first.count(), got)
		}
		time.Sleep(2*time.Hour - time.Minute)
		synctest.Wait()
		// 2/3 of a lifetime of 2 h, and 10 calls each 20 min.
		if got := first.offsets(start); len(got) != 2 || got[1] != 80*time.Minute+time.Second {
			t.Errorf("calls of the first role at %v", got)
		}
		if n := len(sts.calls()); n < 60 || n > 70 {
			t.Errorf("%d calls of the second role", n)
		}
	})
}

func TestChain_CallerFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		pause time.Duration // until the next attempt
	}{
		{"transient", errDown, 500 * time.Millisecond},
		{"throttled", &credcache.SourceError{Source: "oidc", Code: "RequestLimitExceeded", Retryable: true}, 4 * time.Second},
		{"permanent", &credcache.SourceError{Source: "oidc", Code: "UnauthorizedOperation", Hint: "name the provider"}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, sts := &issuer{life: time.Hour, err: tt.err}, &stsOfRoles{life: time.Hour}
			withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
				start, p := time.Now(), c.For(uploads)
				_, err := p.Credentials(t.Context())
				var caller *credcache.CallerError
				if !errors.As(err, &caller) || !errors.Is(caller.Err, tt.err) || strings.Count(err.Error(), "next attempt") != 1 {
					t.Fatalf("got %v", err)
				}
				wantUnavailable(t, p, tt.err, tt.pause)
				// Both retry together, until both have credentials.
				time.Sleep(tt.pause - 1)
				first.setError(nil)
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				wantCredentialsID(t, p, "AKID-role-1")
				if got := first.offsets(start); len(got) != 2 || got[1] != tt.pause || len(sts.calls()) != 1 {
					t.Errorf("first role called at %v, second %d times", got, len(sts.calls()))
				}
			})
		})
	}
}

// TestChain_PauseOfCaller checks that a scope that is new late in an outage of the first role
// retries together with it.
func TestChain_PauseOfCaller(t *testing.T) {
	first, sts := &issuer{life: time.Hour, err: errDown}, &stsOfRoles{life: time.Hour}
	withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
		c.For(uploads).Warm()
		time.Sleep(5*time.Minute + 2*time.Second) // the pauses are at their maximum, 30 s by the jitter
		synctest.Wait()
		start, before := time.Now(), first.count()
		p := c.For(scopes(1)[0])
		_, err := p.Credentials(t.Context())
		var unavailable *credcache.UnavailableError
		if !errors.As(err, &unavailable) || unavailable.RetryAfter() < 5*time.Second || first.count() != before {
			t.Fatalf("got %v, pause %v, %d calls", err, unavailable.RetryAfter(), first.count()-before)
		}
		first.setError(nil)
		time.Sleep(unavailable.RetryAfter())
		synctest.Wait()
		for _, scope := range c.Stats() {
			if !scope.Ready {
				t.Errorf("not ready %v later: %+v", time.Since(start), scope)
			}
		}
		if n := first.count() - before; n != 1 {
			t.Errorf("%d calls of the first role, want 1", n)
		}
	})
}

func wantCredentialsID(t *testing.T, p *credcache.Provider, want string) {
	t.Helper()
	if creds, err := p.Credentials(t.Context()); err != nil || creds.SecretID != want {
		t.Errorf("got %v, %v, want %s", creds, err, want)
	}
}

// TestChain_Hangs checks that the error says which of the two roles does not respond.
func TestChain_Hangs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  *issuer
		sts    *stsOfRoles
		caller bool
	}{
		{"first role", &issuer{life: time.Hour, delay: hang}, &stsOfRoles{}, true},
		{"second role", &issuer{life: time.Hour}, &stsOfRoles{hang: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withChain(t, tt.first, tt.sts, func(t *testing.T, c *credcache.Cache) {
				start := time.Now()
				_, err := c.For(uploads).Credentials(t.Context())
				var caller *credcache.CallerError
				if errors.As(err, &caller) != tt.caller || !errors.Is(err, credcache.ErrTimeout) || time.Since(start) != 10*time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

// TestChain_CallerRejected checks that rejected credentials of the caller are replaced once,
// and that other errors do not replace them.
func TestChain_CallerRejected(t *testing.T) {
	for _, tt := range []struct {
		code     string
		replaced bool
	}{
		{"AuthFailure.TokenFailure", true}, {"AuthFailure.SecretIdNotFound", true}, {"AuthFailure.InvalidSecretId", true},
		{"AuthFailure.SignatureFailure", true}, {"AuthFailure.SignatureExpire", false}, {"AuthFailure.UnauthorizedOperation", false},
		{"UnauthorizedOperation", false}, {"RequestLimitExceeded", false}, {"InternalError.SystemError", false},
	} {
		t.Run(tt.code, func(t *testing.T) {
			first, sts := &issuer{life: time.Hour}, &stsOfRoles{life: time.Hour, rejected: map[string]string{"AKID-1": tt.code}}
			withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
				_, err := c.For(uploads).Credentials(t.Context())
				want := []string{"AKID-1"}
				if tt.replaced {
					want = append(want, "AKID-2")
				}
				var failed *credcache.SourceError
				if got := sts.calls(); (err == nil) != tt.replaced || !slices.Equal(got, want) || first.count() != len(want) {
					t.Errorf("%v; %d calls of the first role, calls of the second by %q", err, first.count(), got)
				}
				if err != nil && (!errors.As(err, &failed) || failed.Source != "role" || failed.Code != tt.code || failed.Message != "not with [redacted]") {
					t.Errorf("got %#v", failed)
				}
			})
		})
	}
}

// TestChain_CallerRejectedByMany has 20 scopes whose caller is rejected at the same time.
func TestChain_CallerRejectedByMany(t *testing.T) {
	first, sts := &issuer{life: 2 * time.Hour, delay: time.Second}, &stsOfRoles{life: 30 * time.Minute}
	withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
		for _, scope := range scopes(20) {
			c.For(scope).Warm()
		}
		time.Sleep(10 * time.Minute)
		sts.set(func() { sts.rejected = map[string]string{"AKID-1": "AuthFailure.TokenFailure"} })
		time.Sleep(11 * time.Minute) // the refresh is due
		synctest.Wait()
		if n := len(sts.calls()); first.count() != 2 || n != 20+20+20 {
			t.Errorf("%d calls of the first role, %d of the second", first.count(), n)
		}
		for _, scope := range c.Stats() {
			if !scope.Ready || scope.LastError != "" {
				t.Errorf("%+v", scope)
			}
		}
	})
}

// TestChain_CallerRejectedForever checks that an STS that rejects every caller causes few calls
// of the first role, whose quota is small.
func TestChain_CallerRejectedForever(t *testing.T) {
	first, sts := &issuer{life: 2 * time.Hour}, &stsOfRoles{fail: "AuthFailure.TokenFailure"}
	withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
		for _, scope := range scopes(20) {
			p := c.For(scope)
			p.Warm()
			if _, err := p.Credentials(t.Context()); err == nil || !strings.Contains(err.Error(), "STS rejects the credentials of the caller") {
				t.Fatalf("got %v", err)
			}
		}
		before := first.count()
		if before > 6 {
			t.Errorf("%d calls of the first role at once", before)
		}
		for range 600 { // a request each second in every scope
			time.Sleep(time.Second)
			for _, scope := range scopes(20) {
				_, _ = c.For(scope).Credentials(t.Context())
			}
		}
		if n := first.count() - before; n > 61 {
			t.Errorf("%d calls of the first role in 10 min", n)
		}
		sts.set(func() { sts.fail, sts.life = "", time.Hour })
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, scope := range c.Stats() {
			if !scope.Ready {
				t.Errorf("no recovery: %+v", scope)
			}
		}
	})
}

// TestChain_OutlivesCaller checks that the second credentials are used after the first ones
// have expired.
func TestChain_OutlivesCaller(t *testing.T) {
	first, sts := &issuer{life: 5 * time.Minute}, &stsOfRoles{life: time.Hour}
	withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
		p := c.For(uploads)
		wantCredentialsID(t, p, "AKID-role-1")
		first.setError(errDown)
		time.Sleep(59 * time.Minute)
		wantCredentialsID(t, p, "AKID-role-1")
		time.Sleep(2 * time.Minute)
		_, err := p.Credentials(t.Context())
		var caller *credcache.CallerError
		if !errors.As(err, &caller) || !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
	})
}

// TestChain_Close checks that the caches can be closed during a fetch of the first one.
func TestChain_Close(t *testing.T) {
	first, sts := &issuer{life: time.Hour, delay: hang}, &stsOfRoles{life: time.Hour}
	withChain(t, first, sts, func(t *testing.T, c *credcache.Cache) {
		result := make(chan error, 1)
		go func() {
			_, err := c.For(uploads).Credentials(context.Background())
			result <- err
		}()
		synctest.Wait()
		c.Close()
		if err := <-result; !errors.Is(err, credcache.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}
