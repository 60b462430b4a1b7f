package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosproxy/proxy"
	"cosproxy/signer"
)

// here is what our clock says in these tests.
var here = time.Unix(1900000000, 0)

// atHere is a rig whose clock stands at here, with keys that live on.
func atHere(t *testing.T, handle func(*arrival)) *rig {
	t.Helper()
	k := newKeys(3)
	for i := range k.row {
		k.row[i].Expires = here.Add(24 * time.Hour)
	}
	return start(t, setup{keys: k, handle: handle, options: func(o *proxy.Options) {
		o.Now = func() time.Time { return here }
	}})
}

// signedAt is the start of an arrival's signature.
func signedAt(a *arrival) time.Time {
	_, rest, _ := strings.Cut(a.Header.Get("Authorization"), "q-sign-time=")
	from, _, _ := strings.Cut(rest, ";")
	return unix(from)
}

// dated adds COS's Server and a Date to an answer.
func dated(answer, date string) string { return datedBy("tencent-cos", answer, date) }

func datedBy(server, answer, date string) string {
	if server != "" {
		server = "Server: " + server + "\r\n"
	}
	return strings.Replace(answer, "\r\n", "\r\nDate: "+date+"\r\n"+server, 1)
}

func at(offset time.Duration) string { return here.Add(offset).UTC().Format(http.TimeFormat) }

var (
	skewed  = errorAnswer(403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
	expired = errorAnswer(403, "AccessDenied", "Request has expired")
)

// refuseFirst gives the first n requests a refusal.
func refuseFirst(n int, refusal string) func(*arrival) {
	var mu sync.Mutex
	return func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			a.answer(refusal)
		} else {
			a.answer(ok)
		}
	}
}

// A rejection that our clock explains is answered with COS's clock, learnt from
// its Date, and the key is kept. Any other is the key's.
func TestClock_LearnedFromCOS(t *testing.T) {
	tests := []struct {
		name, answer string
		learnt       time.Duration // zero means that the key is blamed
	}{
		{"two hours behind", dated(skewed, at(2*time.Hour)), 2 * time.Hour},
		{"two hours ahead", dated(skewed, at(-2*time.Hour)), -2 * time.Hour},
		{"30 s behind", dated(skewed, at(30*time.Second)), 30 * time.Second},
		{"30 s ahead", dated(skewed, at(-30*time.Second)), -30 * time.Second},
		{"expired, an hour behind", dated(expired, at(time.Hour)), time.Hour},
		{"skew as a message", dated(errorAnswer(403, "AccessDenied", "RequestTimeTooSkewed"), at(time.Hour)), time.Hour},
		{"another server", datedBy("nginx", skewed, at(time.Hour)), 0},
		{"another server, expired", datedBy("cloudflare", expired, at(-time.Hour)), 0},
		{"no Server", datedBy("", skewed, at(time.Hour)), 0},
		{"29 s behind", dated(skewed, at(29*time.Second)), 0},
		{"29 s ahead", dated(expired, at(-29*time.Second)), 0},
		{"same time", dated(expired, at(0)), 0},
		{"no Date", skewed, 0},
		{"unreadable Date", dated(skewed, "yesterday"), 0},
		{"expired token", dated(errorAnswer(403, "ExpiredToken", "expired"), at(time.Hour)), 0},
		{"unknown key", dated(errorAnswer(403, "InvalidAccessKeyId", "no"), at(time.Hour)), 0},
	}
	for _, tt := range tests {
		for _, request := range []string{noBody, knownLength} {
			t.Run(tt.name+", "+request[:3], func(t *testing.T) {
				r := atHere(t, refuseFirst(1, tt.answer))
				for range 2 { // the second is right at once
					if rep := r.exchange(t, request); rep.status != http.StatusOK {
						t.Fatalf("got\n%s%s", rep.head, rep.body)
					}
				}
				seen := r.upstream.seen()
				if len(seen) != 3 {
					t.Fatalf("%d requests reached the upstream, want 3", len(seen))
				}
				// Signatures begin at full minutes.
				want := here.Add(tt.learnt).Truncate(time.Minute).Sub(here.Truncate(time.Minute))
				for _, a := range seen[1:] {
					if got := signedAt(a).Sub(signedAt(seen[0])); got != want {
						t.Errorf("signed with a clock moved by %s, want %s", got, want)
					}
					if string(a.body) != string(seen[0].body) {
						t.Errorf("sent again with %q", a.body)
					}
				}
				if blamed := len(r.keys.rejected()) == 1; blamed != (tt.learnt == 0) {
					t.Errorf("reported as rejected: %q", r.keys.rejected())
				}
			})
		}
	}
}

// The body of a large upload is gone, but the next one is signed right.
func TestClock_LearnedFromUpload(t *testing.T) {
	for _, h := range half {
		t.Run(h.name, func(t *testing.T) {
			refusal := dated(skewed, at(time.Hour))
			r := atHere(t, refuseFirst(1, refusal))
			checkSame(t, r.exchange(t, h.request+h.rest), refusal)
			if rep := r.exchange(t, h.request+h.rest); rep.status != http.StatusOK {
				t.Errorf("got\n%s%s", rep.head, rep.body)
			}
			seen := r.upstream.seen()
			if len(seen) != 2 || signedAt(seen[1]).Sub(signedAt(seen[0])) != time.Hour || len(r.keys.rejected()) != 0 {
				t.Errorf("%d requests arrived, rejected were %q", len(seen), r.keys.rejected())
			}
		})
	}
}

// Of many requests that find the clock wrong at once, none blames the key.
func TestClock_LearnedConcurrently(t *testing.T) {
	const n = 8
	var arrived sync.WaitGroup
	arrived.Add(n)
	r := atHere(t, func(a *arrival) {
		if !signedAt(a).Before(here) {
			a.answer(ok)
			return
		}
		arrived.Done()
		arrived.Wait()
		a.answer(dated(skewed, at(time.Hour)))
	})
	var clients []*client
	for i := range n {
		clients = append(clients, r.dial(t))
		clients[i].send(noBody)
	}
	for _, c := range clients {
		if rep := c.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
	}
	if got := r.keys.rejected(); len(got) != 0 {
		t.Errorf("reported as rejected: %q", got)
	}
}

// Once more, not more often; and a clock that is put right is learnt anew.
func TestClock_Changes(t *testing.T) {
	refusals := []string{dated(skewed, at(time.Hour)), dated(skewed, at(2*time.Hour)), dated(skewed, at(0))}
	offsets := []time.Duration{0, time.Hour, time.Hour, 0}
	i := 0 // requests come one after the other
	r := atHere(t, func(a *arrival) {
		answer := ok
		if i < len(refusals) {
			answer = refusals[i]
		}
		i++
		a.answer(answer)
	})
	checkSame(t, r.get(t, "/key"), refusals[1])
	if rep := r.get(t, "/key"); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	var got []time.Duration
	for _, a := range r.upstream.seen() {
		got = append(got, signedAt(a).Sub(signedAt(r.upstream.seen()[0])))
	}
	if !slices.Equal(got, offsets) {
		t.Errorf("signed with clocks moved by %s, want %s", fmt.Sprint(got), fmt.Sprint(offsets))
	}
}

// unexpired hands out the first key that is valid at now.
type unexpired struct {
	*keys
	now func() time.Time
}

func (u unexpired) Credentials(context.Context) (signer.Credentials, error) {
	for _, creds := range u.row {
		if !creds.Expired(u.now()) {
			return creds, nil
		}
	}
	return signer.Credentials{}, errors.New("all keys have expired")
}

// A key that expires while a request waits for its next attempt is replaced.
func TestRetry_CredentialsExpired(t *testing.T) {
	var passed atomic.Int64
	clock := func() time.Time { return here.Add(time.Duration(passed.Load())) }
	k := newKeys(2)
	k.row[0].Expires, k.row[1].Expires = here.Add(time.Minute), here.Add(time.Hour)
	r := start(t, setup{keys: k, options: func(o *proxy.Options) {
		o.Now, o.Routes[0].Credentials = clock, unexpired{k, clock}
	}, handle: func(a *arrival) {
		if passed.Load() == 0 {
			passed.Store(int64(2 * time.Minute))
			a.answer("HTTP/1.1 503 Service Unavailable\r\nx-cos-request-id: id\r\nContent-Length: 0\r\n\r\n")
			return
		}
		a.answer(ok)
	}})
	if rep := r.get(t, "/key"); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if n := len(r.upstream.seen()); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}
