package proxy_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cosproxy/proxy"
	"cosproxy/signer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// metrics returns the exposition as Prometheus scrapes it.
func (r *rig) metrics(t testing.TB) string {
	t.Helper()
	w := &recorder{header: http.Header{}}
	promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}).ServeHTTP(w, &http.Request{Method: http.MethodGet, Header: http.Header{}})
	return w.text.String()
}

// recorder is a minimal http.ResponseWriter.
type recorder struct {
	header http.Header
	text   strings.Builder
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) Write(p []byte) (int, error) { return w.text.Write(p) }
func (w *recorder) WriteHeader(int)             {}

// story sends requests of every kind, one after the other.
func story(t *testing.T, options func(*proxy.Options)) *rig {
	t.Helper()
	r := start(t, setup{options: options, handle: func(a *arrival) {
		if a.readBody() != nil {
			return
		}
		switch {
		case a.Method == http.MethodHead:
			a.respond("HTTP/1.1 404 Not Found\r\nx-cos-request-id: cos-4\r\nContent-Length: 0\r\n\r\n")
		case a.Method == http.MethodPut:
			a.respond("HTTP/1.1 200 OK\r\nx-cos-request-id: cos-1\r\nContent-Length: 0\r\n\r\n")
		case a.URL.Path == "/cut":
			a.respond("HTTP/1.1 200 OK\r\nx-cos-request-id: cos-5\r\nContent-Length: 10\r\n\r\nhalf")
			a.conn.Close()
		default:
			a.respond("HTTP/1.1 206 Partial Content\r\nx-cos-request-id: cos-2\r\nContent-Length: 4\r\n\r\ntest")
		}
	}})
	for _, request := range []string{
		"PUT /dir/a%20b\"%0A HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntest",
		"PUT /%E7%9B%AE HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" + strings.Repeat("t", 64<<10+1) + "\r\n0\r\n\r\n",
		"GET /dir/key?versionId=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /?prefix=dir/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"HEAD /none HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"POST /key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
		"GET /key HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"GET /key?a=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /cut HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	} {
		c := r.dial(t)
		c.send(request)
		if strings.HasPrefix(request, "GET /cut") {
			c.end()
		} else {
			method, _, _ := strings.Cut(request, " ")
			c.reply(method)
		}
		for end := time.Now().Add(10 * time.Second); r.proxy.InFlight() > 0 && time.Now().Before(end); { // its line comes after its response
			time.Sleep(time.Millisecond)
		}
	}
	return r
}

var (
	varyingTime = regexp.MustCompile(`(time|http.server.request.duration)=\S+`)
	varyingID   = regexp.MustCompile(`cosproxy-[A-Z2-7]{26}`)
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update if that is meant). Got:\n%s", name, got)
	}
}

// Every request has one log record with its attributes.
func TestAccessLog(t *testing.T) {
	log := story(t, nil).drained(t)
	log = varyingTime.ReplaceAllString(log, "$1=…")
	log = varyingID.ReplaceAllString(log, "cosproxy-…")
	golden(t, "access.log", log)
}

// A log level above that of the records writes nothing and costs nothing.
func TestAccessLog_Level(t *testing.T) {
	var quiet syncBuffer
	r := story(t, func(o *proxy.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&quiet, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	r.drained(t)
	if n := strings.Count(quiet.String(), "\n"); n != 1 || !strings.Contains(quiet.String(), "cos.object_key=cut") {
		t.Errorf("got %d lines, want that of the cut download:\n%s", n, quiet.String())
	}
}

func TestMetrics(t *testing.T) {
	r := story(t, nil)
	r.drained(t)
	var kept []string
	for line := range strings.Lines(r.metrics(t)) {
		if !strings.Contains(line, "_bucket{") && !strings.Contains(line, "_seconds_sum") {
			kept = append(kept, line)
		}
	}
	golden(t, "metrics.txt", strings.Join(kept, ""))
}

func TestMetrics_RequestsInFlight(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := start(t, setup{handle: func(a *arrival) {
		close(arrived)
		<-release
		a.respond(ok)
	}})
	c := r.dial(t)
	c.send(noBody)
	<-arrived
	during := r.metrics(t)
	close(release)
	c.reply("GET")
	r.drained(t)
	after := r.metrics(t)
	if !strings.Contains(during, "cosproxy_requests_in_flight 1\n") || !strings.Contains(after, "cosproxy_requests_in_flight 0\n") {
		t.Errorf("during:\n%s\nafter:\n%s", during, after)
	}
}

func TestMetrics_RegisteredTwice(t *testing.T) {
	registry := prometheus.NewRegistry()
	o := proxy.Options{Routes: []proxy.Route{{Bucket: bucket, Region: region, Credentials: newCredentials(1)}}, Registerer: registry}
	if _, err := proxy.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.New(o); err == nil || !strings.Contains(err.Error(), "rejects the metrics") {
		t.Errorf("got %v", err)
	}
}

// Neither credentials nor secrets of clients appear in responses, log or metrics.
func TestAccessLog_NoSecrets(t *testing.T) {
	sentinels := []string{"secret-sentinel", "token-sentinel", "client-sentinel"}
	refusal := rejections[0].response
	r := start(t, setup{handle: func(a *arrival) {
		_ = a.readBody()
		switch a.URL.Path {
		case "/broken":
			a.respond("HTTP/1.1 nonsense\r\n\r\n")
			a.conn.Close()
		case "/rejected":
			a.respond(refusal)
		case "/cut":
			a.conn.Close()
		default:
			a.respond(ok)
		}
	}})
	var responses strings.Builder
	for _, target := range []string{"/key", "/rejected", "/broken", "/cut", "//", "*", "http://client-sentinel@localhost", "http://user:client-sentinel@localhost/key", "/%zz"} {
		for _, query := range []string{"", "?x-cos-security-token=client-sentinel", "?x-cos-security-token=client-sentinel%zz", "?q-signature=client-sentinel&acl"} {
			for _, method := range []string{"GET", "PUT", "TRACE"} {
				rep := r.exchange(t, fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: client-sentinel\r\n"+
					"Proxy-Authorization: client-sentinel\r\nCookie: client-sentinel\r\nx-cos-security-token: client-sentinel\r\nContent-Length: 0\r\n\r\n",
					method, target, query))
				responses.WriteString(rep.head + rep.body)
			}
		}
	}
	everywhere := map[string]string{"response": responses.String(), "log": r.drained(t), "metrics": r.metrics(t)}
	for location, text := range everywhere {
		for _, sentinel := range sentinels {
			if i := strings.Index(text, sentinel); i >= 0 {
				t.Errorf("%s shows a secret: …%s…", location, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
	if !strings.Contains(everywhere["log"], "http.response.status_code=502") {
		t.Error("the failures that this test wants to see did not happen")
	}
}

// Events of the server itself are in the same log.
func TestAccessLog_ServerErrors(t *testing.T) {
	r := start(t, setup{options: func(o *proxy.Options) { o.Routes[0].Credentials = panicking{} }})
	c := r.dial(t)
	c.send(noBody)
	_, _ = c.Read(make([]byte, 1))
	if log := r.drained(t); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "observability_test.go:") || strings.Contains(log, "sentinel") {
		t.Errorf("log: %s", log)
	}
}

// panicking are credentials that panic.
type panicking struct{ *stubCredentials }

func (panicking) Credentials(context.Context) (signer.Credentials, error) { panic("sentinel") }
