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

// here is the local clock in these tests.
var here = time.Unix(1900000000, 0)

// atHere is a rig whose clock is here, with credentials that do not expire.
func atHere(t *testing.T, handle func(*arrival)) *rig {
	t.Helper()
	k := newCredentials(3)
	for i := range k.list {
		k.list[i].Expires = here.Add(24 * time.Hour)
	}
	return start(t, setup{creds: k, handle: handle, options: func(o *proxy.Options) {
		o.Now = func() time.Time { return here }
	}})
}

// signedAt is the start time in the signature of an arrival.
func signedAt(a *arrival) time.Time {
	_, rest, _ := strings.Cut(a.Header.Get("Authorization"), "q-sign-time=")
	from, _, _ := strings.Cut(rest, ";")
	return unix(from)
}

// dated adds the Server and Date fields of COS to a response.
func dated(response, date string) string { return datedBy("tencent-cos", response, date) }

func datedBy(server, response, date string) string {
	if server != "" {
		server = "Server: " + server + "\r\n"
	}
	return strings.Replace(response, "\r\n", "\r\nDate: "+date+"\r\n"+server, 1)
}

func at(offset time.Duration) string { return here.Add(offset).UTC().Format(http.TimeFormat) }

var (
	skewed  = errorResponse(403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
	expired = errorResponse(403, "AccessDenied", "Request has expired")
)

// refuseFirst sends the refusal to the first n requests.
func refuseFirst(n int, refusal string) func(*arrival) {
	var mu sync.Mutex
	return func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			a.respond(refusal)
		} else {
			a.respond(ok)
		}
	}
}

// If a wrong local clock explains a rejection, the request is retried with COS's clock
// from the Date field and the same credentials. Any other rejection concerns the
// credentials.
func TestClock_LearnedFromCOS(t *testing.T) {
	tests := []struct {
		name, response string
		learned        time.Duration // zero means that the key is blamed
	}{
		{"two hours behind", dated(skewed, at(2*time.Hour)), 2 * time.Hour},
		{"two hours ahead", dated(skewed, at(-2*time.Hour)), -2 * time.Hour},
		{"30 s behind", dated(skewed, at(30*time.Second)), 30 * time.Second},
		{"30 s ahead", dated(skewed, at(-30*time.Second)), -30 * time.Second},
		{"expired, an hour behind", dated(expired, at(time.Hour)), time.Hour},
		{"skew as a message", dated(errorResponse(403, "AccessDenied", "RequestTimeTooSkewed"), at(time.Hour)), time.Hour},
		{"another server", datedBy("nginx", skewed, at(time.Hour)), 0},
		{"another server, expired", datedBy("cloudflare", expired, at(-time.Hour)), 0},
		{"no Server", datedBy("", skewed, at(time.Hour)), 0},
		{"29 s behind", dated(skewed, at(29*time.Second)), 0},
		{"29 s ahead", dated(expired, at(-29*time.Second)), 0},
		{"same time", dated(expired, at(0)), 0},
		{"no Date", skewed, 0},
		{"unreadable Date", dated(skewed, "yesterday"), 0},
		{"expired token", dated(errorResponse(403, "ExpiredToken", "expired"), at(time.Hour)), 0},
		{"unknown key", dated(errorResponse(403, "InvalidAccessKeyId", "no"), at(time.Hour)), 0},
	}
	for _, tt := range tests {
		for _, request := range []string{noBody, knownLength} {
			t.Run(tt.name+", "+request[:3], func(t *testing.T) {
				r := atHere(t, refuseFirst(1, tt.response))
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
				want := here.Add(tt.learned).Truncate(time.Minute).Sub(here.Truncate(time.Minute))
				for _, a := range seen[1:] {
					if got := signedAt(a).Sub(signedAt(seen[0])); got != want {
						t.Errorf("signed with a clock moved by %s, want %s", got, want)
					}
					if string(a.body) != string(seen[0].body) {
						t.Errorf("sent again with %q", a.body)
					}
				}
				if blamed := len(r.creds.rejected()) == 1; blamed != (tt.learned == 0) {
					t.Errorf("reported as rejected: %q", r.creds.rejected())
				}
			})
		}
	}
}

// The body of a large upload cannot be sent again, but the next request is signed with
// the corrected clock.
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
			if len(seen) != 2 || signedAt(seen[1]).Sub(signedAt(seen[0])) != time.Hour || len(r.creds.rejected()) != 0 {
				t.Errorf("%d requests arrived, rejected were %q", len(seen), r.creds.rejected())
			}
		})
	}
}

// If many requests find the clock wrong at once, none reports its credentials as
// rejected.
func TestClock_LearnedConcurrently(t *testing.T) {
	const n = 8
	var arrived sync.WaitGroup
	arrived.Add(n)
	r := atHere(t, func(a *arrival) {
		if !signedAt(a).Before(here) {
			a.respond(ok)
			return
		}
		arrived.Done()
		arrived.Wait()
		a.respond(dated(skewed, at(time.Hour)))
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
	if got := r.creds.rejected(); len(got) != 0 {
		t.Errorf("reported as rejected: %q", got)
	}
}

// The request is retried once. A clock that changes again is learned again.
func TestClock_Changes(t *testing.T) {
	refusals := []string{dated(skewed, at(time.Hour)), dated(skewed, at(2*time.Hour)), dated(skewed, at(0))}
	offsets := []time.Duration{0, time.Hour, time.Hour, 0}
	i := 0 // requests come one after the other
	r := atHere(t, func(a *arrival) {
		response := ok
		if i < len(refusals) {
			response = refusals[i]
		}
		i++
		a.respond(response)
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

// unexpired returns the first credentials that are valid now.
type unexpired struct {
	*stubCredentials
	now func() time.Time
}

func (u unexpired) Credentials(context.Context) (signer.Credentials, error) {
	for _, creds := range u.list {
		if !creds.Expired(u.now()) {
			return creds, nil
		}
	}
	return signer.Credentials{}, errors.New("all keys have expired")
}

// Credentials that expire while a request waits for its retry are replaced.
func TestRetry_CredentialsExpired(t *testing.T) {
	var passed atomic.Int64
	clock := func() time.Time { return here.Add(time.Duration(passed.Load())) }
	k := newCredentials(2)
	k.list[0].Expires, k.list[1].Expires = here.Add(time.Minute), here.Add(time.Hour)
	r := start(t, setup{creds: k, options: func(o *proxy.Options) {
		o.Now, o.Routes[0].Credentials = clock, unexpired{k, clock}
	}, handle: func(a *arrival) {
		if passed.Load() == 0 {
			passed.Store(int64(2 * time.Minute))
			a.respond("HTTP/1.1 503 Service Unavailable\r\nx-cos-request-id: id\r\nContent-Length: 0\r\n\r\n")
			return
		}
		a.respond(ok)
	}})
	if rep := r.get(t, "/key"); rep.status != http.StatusOK {
		t.Errorf("got\n%s%s", rep.head, rep.body)
	}
	if n := len(r.upstream.seen()); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}
