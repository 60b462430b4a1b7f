package credcache_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
)

// faultySTS is an STS on a real socket with an adjustable fault. It takes the time from the
// Timestamp of the requests, which is virtual time.
type faultySTS struct {
	life  time.Duration
	calls atomic.Int64
	fault atomic.Pointer[fault]
}

// fault replaces the response of STS. hang applies to the dialer instead, because virtual
// time stops while a socket is read.
type fault struct {
	respond func(w http.ResponseWriter, now time.Time, n int64)
	hang    bool
}

func (s *faultySTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.calls.Add(1)
	seconds, err := strconv.ParseInt(r.PostFormValue("Timestamp"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	now := time.Unix(seconds, 0)
	if f := s.fault.Load(); f != nil {
		f.respond(w, now, n)
		return
	}
	grant(w, n, now.Add(s.life))
}

func grant(w http.ResponseWriter, n int64, expires time.Time) {
	fmt.Fprintf(w, `{"Response":{"Credentials":{"Token":"%s","TmpSecretId":"AKID-%d","TmpSecretKey":"%s"},"ExpiredTime":%d,"RequestId":"r"}}`,
		secret, n, secret, expires.Unix())
}

// dial connects to the server, or to a peer that never reads if STS hangs.
func (s *faultySTS) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if f := s.fault.Load(); f != nil && f.hang {
		s.calls.Add(1)
		conn, _ := net.Pipe()
		return conn, nil
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func refuse(code string) *fault {
	return &fault{respond: func(w http.ResponseWriter, _ time.Time, _ int64) {
		fmt.Fprintf(w, `{"Response":{"Error":{"Code":%q,"Message":"no"},"RequestId":"r"}}`, code)
	}}
}

func respondStatus(code int) *fault {
	return &fault{respond: func(w http.ResponseWriter, _ time.Time, _ int64) { w.WriteHeader(code) }}
}

func respondBody(text string) *fault {
	return &fault{respond: func(w http.ResponseWriter, _ time.Time, _ int64) { fmt.Fprint(w, text) }}
}

func grantFor(life time.Duration) *fault {
	return &fault{respond: func(w http.ResponseWriter, now time.Time, n int64) { grant(w, n, now.Add(life)) }}
}

// resetConn ends the connection with a TCP reset.
var resetConn = &fault{respond: func(w http.ResponseWriter, _ time.Time, _ int64) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}}

// truncated ends the connection inside the response.
var truncated = &fault{respond: func(w http.ResponseWriter, _ time.Time, _ int64) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `{"Response":{"Credentials":{"Token":"`)
}}

// Credentials live 30 min and the application requests them each second. STS works, then
// fails for some time, then works again. The table of the package documentation has these
// figures.
func TestCache_STSOutage(t *testing.T) {
	const m = time.Minute
	for _, tt := range []struct {
		name     string
		fault    *fault
		from, to time.Duration // STS fails; the first refresh is due at 20 min
		lost     time.Duration // how long the application gets errors
		calls    int64         // of STS, from the start until the fault ends
		recovers time.Duration // from the end of the fault until new credentials
	}{
		{"HTTP 500", respondStatus(500), 15 * m, 28*m + 30*time.Second, 0, 21, 15 * time.Second},
		{"HTTP 500, past the expiry", respondStatus(500), 15 * m, 44*m + 30*time.Second, 14*m + 45*time.Second, 53, 15 * time.Second},
		{"HTTP 500 at the start", respondStatus(500), 0, 90 * time.Second, 1*m + 32*time.Second, 8, 2 * time.Second},
		{"hang", &fault{hang: true}, 15 * m, 28*m + 30*time.Second, 0, 17, 15 * time.Second},
		{"hang, past the expiry", &fault{hang: true}, 15 * m, 44*m + 30*time.Second, 14*m + 42*time.Second, 41, 15 * time.Second},
		{"reset", resetConn, 15 * m, 28*m + 30*time.Second, 0, 21, 15 * time.Second},
		{"truncated", truncated, 15 * m, 28*m + 30*time.Second, 0, 21, 15 * time.Second},
		{"garbage", respondBody("<html>welcome</html>"), 15 * m, 28*m + 30*time.Second, 0, 21, 15 * time.Second},
		{"empty", respondBody(""), 15 * m, 28*m + 30*time.Second, 0, 21, 15 * time.Second},
		{"expired credentials", grantFor(-m), 15 * m, 28*m + 30*time.Second, 0, 21, 15 * time.Second},
		{"credentials that live 90 s", grantFor(90 * time.Second), 15 * m, 28*m + 30*time.Second, 0, 10, 30 * time.Second},
		{"credentials that live 5 s", grantFor(5 * time.Second), 15 * m, 28*m + 30*time.Second, 0, 171, 1 * time.Second},
		{"RequestLimitExceeded", refuse("RequestLimitExceeded"), 15 * m, 28*m + 30*time.Second, 0, 13, 30 * time.Second},
		{"RequestLimitExceeded, past the expiry", refuse("RequestLimitExceeded"), 15 * m, 44*m + 30*time.Second, 15 * m, 29, 30 * time.Second},
		{"RequestLimitExceeded at the start", refuse("RequestLimitExceeded"), 0, 90 * time.Second, 2 * m, 5, 30 * time.Second},
		{"long-lived key pair rejected", refuse("AuthFailure.SecretIdNotFound"), 15 * m, 28*m + 30*time.Second, 0, 18, 21 * time.Second},
		{"long-lived key pair rejected, past the expiry", refuse("AuthFailure.SecretIdNotFound"), 15 * m, 44*m + 30*time.Second, 14*m + 51*time.Second, 50, 21 * time.Second},
		{"long-lived key pair rejected at the start", refuse("AuthFailure.SecretIdNotFound"), 0, 90 * time.Second, 1*m + 35*time.Second, 5, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sts := &faultySTS{life: 30 * m}
			server := stsServer(t, sts.ServeHTTP)
			transport := &http.Transport{DialContext: sts.dial, DisableKeepAlives: true}
			src := stsSource(t, server.URL, func(o *credcache.STSOptions) { o.Transport = transport })
			withCache(t, src, credcache.Options{}, func(t *testing.T, c *credcache.Cache) {
				var lost, recovers time.Duration
				var calls atomic.Int64 // 0: the fault has not ended
				p, start := c.For(uploads), time.Now()
				if tt.from == 0 {
					sts.fault.Store(tt.fault)
				}
				// A millisecond early, so that the order of events is defined.
				time.AfterFunc(tt.from-time.Millisecond, func() { sts.fault.Store(tt.fault) })
				time.AfterFunc(tt.to-time.Millisecond, func() { sts.fault.Store(nil); calls.Store(sts.calls.Load()) })
				for time.Since(start) < 80*m {
					asked := time.Now()
					creds, err := p.Credentials(t.Context())
					switch {
					case err != nil:
						lost += max(time.Second, time.Since(asked))
					case creds.Expired(time.Now()):
						t.Fatalf("after %v: expired credentials", time.Since(start))
					case recovers == 0 && calls.Load() > 0 && creds.SecretID == fmt.Sprintf("AKID-%d", calls.Load()+1):
						recovers = time.Since(start) - tt.to
					}
					time.Sleep(time.Second - time.Since(start)%time.Second)
					synctest.Wait()
				}
				lost, recovers = lost.Round(time.Second), recovers.Round(time.Second)
				if lost != tt.lost || calls.Load() != tt.calls || recovers != tt.recovers {
					t.Errorf("errors for %v, %d calls, new credentials after %v; want %v, %d, %v", lost, calls.Load(), recovers, tt.lost, tt.calls, tt.recovers)
				}
			})
		})
	}
}
