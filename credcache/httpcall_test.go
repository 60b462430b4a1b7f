package credcache_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cosproxy/credcache"
)

const exampleRole = "qcs::cam::uin/100000000001:roleName/example"

// asking are the sources that ask over HTTP, each set up to make one request to
// the URL for a key, and to send secret along where there is one to send.
var asking = map[string]func(t *testing.T, url string) credcache.Source{
	"sts":  func(t *testing.T, url string) credcache.Source { return stsSource(t, url, nil) },
	"role": func(t *testing.T, url string) credcache.Source { return roleSource(t, url, nil) },
	"oidc": func(t *testing.T, url string) credcache.Source { return oidcSource(t, url, nil) },
	"cvm":  func(t *testing.T, url string) credcache.Source { return cvmSource(t, url, "example") },
	"http": func(t *testing.T, url string) credcache.Source { return keyServerSource(t, url, nil) },
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, secret)
	}
}

// hijacked does with the connection what HTTP would not.
func hijacked(do func(*net.TCPConn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		do(conn.(*net.TCPConn))
		conn.Close()
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	garbage := credcache.SourceError{Message: "or broke off", Hint: "check", Retryable: true}
	refused := func(code int, retryable bool) credcache.SourceError {
		return credcache.SourceError{Code: fmt.Sprint("HTTP ", code), Retryable: retryable}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   credcache.SourceError
		cause  error
	}{
		{"HTML", text("<html>" + secret), garbage, credcache.ErrBadAnswer},
		{"a string", text(`"` + secret + `"`), garbage, credcache.ErrBadAnswer},
		{"half a JSON", text(`{"Response":{"Credentials":{"TmpSecretKey":"` + secret), garbage, credcache.ErrBadAnswer},
		{"null", text("null"), credcache.SourceError{Retryable: true}, credcache.ErrBadAnswer},
		{"no field of a key", text("{}"), credcache.SourceError{Retryable: true}, credcache.ErrBadAnswer},
		{"empty", text(""), garbage, credcache.ErrBadAnswer},
		{"too long", text(strings.Repeat(" ", 65<<10) + "{}"),
			credcache.SourceError{Message: "more than 65536 bytes", Retryable: true}, credcache.ErrBadAnswer},
		{"500", status(500), refused(500, true), nil},
		{"502", status(502), refused(502, true), nil},
		{"503", status(503), refused(503, true), nil},
		{"429", status(429), refused(429, true), nil},
		{"408", status(408), refused(408, true), nil},
		{"400", status(400), refused(400, false), nil},
		{"401", status(401), refused(401, false), nil},
		{"403", status(403), refused(403, false), nil},
		{"404", status(404), refused(404, false), nil},
		{"301", status(301), refused(301, false), nil},
		{"307", status(307), refused(307, false), nil},
		{"204", status(204), refused(204, false), nil},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, `{"Response":`)
		}, garbage, credcache.ErrBadAnswer},
		{"not HTTP", hijacked(func(c *net.TCPConn) { _, _ = io.WriteString(c, "220 "+secret+"\r\n\r\n") }), garbage, credcache.ErrBadAnswer},
		{"reset", hijacked(func(c *net.TCPConn) { _ = c.SetLinger(0) }), credcache.SourceError{Message: "reset", Retryable: true}, nil},
	} {
		for name, open := range asking {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				calls := 0
				server := stsServer(t, func(w http.ResponseWriter, r *http.Request) { calls++; tt.answer(w, r) })
				tt.want.Source = name
				wantSourceError(t.Context(), t, open(t, server.URL), tt.want, tt.cause)
				server.Close()
				if calls != 1 {
					t.Errorf("%d requests, want 1: no redirect is followed, nothing is sent twice", calls)
				}
			})
		}
	}
}

func TestOutOfReach(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	for name, open := range asking {
		t.Run(name, func(t *testing.T) {
			wantSourceError(t.Context(), t, open(t, server.URL),
				credcache.SourceError{Source: name, Message: "connection refused", Retryable: true}, nil)
		})
	}
}

func TestUnknownCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	plain := stsServer(t, answer(""))
	for name, open := range asking {
		t.Run(name, func(t *testing.T) {
			wantSourceError(t.Context(), t, open(t, server.URL),
				credcache.SourceError{Source: name, Message: "certificate", Retryable: true}, nil)
			wantSourceError(t.Context(), t, open(t, "https"+strings.TrimPrefix(plain.URL, "http")),
				credcache.SourceError{Source: name, Retryable: true}, nil)
		})
	}
}

func TestSourcesKeepToTheContext(t *testing.T) {
	for when, begin := range map[string]func(http.ResponseWriter){
		"before the header": func(http.ResponseWriter) {},
		"in the body": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"Response":`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		for name, open := range asking {
			t.Run(when+"/"+name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				server := stsServer(t, func(_ http.ResponseWriter, r *http.Request) {})
				server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the client go
					begin(w)
					cancel()
					<-r.Context().Done()
				})
				wantSourceError(ctx, t, open(t, server.URL),
					credcache.SourceError{Source: name, Message: "in time", Retryable: true}, context.Canceled)
			})
		}
	}
}

func TestASilentServerTimesOut(t *testing.T) {
	server := stsServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	transport := &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond, DisableKeepAlives: true}
	for name, source := range map[string]credcache.Source{
		"sts":  stsSource(t, server.URL, func(o *credcache.STSOptions) { o.Transport = transport }),
		"role": roleSource(t, server.URL, func(o *credcache.RoleOptions) { o.Transport = transport }),
		"oidc": oidcSource(t, server.URL, func(o *credcache.OIDCOptions) { o.Transport = transport }),
		"http": keyServerSource(t, server.URL, func(o *credcache.HTTPOptions) { o.Transport = transport }),
	} {
		t.Run(name, func(t *testing.T) {
			wantSourceError(t.Context(), t, source, credcache.SourceError{Source: name, Message: "timeout", Retryable: true}, nil)
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantSourceError(ctx, t, cvmSource(t, server.URL, "example"),
		credcache.SourceError{Source: "cvm", Message: "in time", Retryable: true}, context.DeadlineExceeded)
}

// write puts content into the file called name in dir.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mount is a directory as kubelet mounts a Secret: its files are symlinks to
// ..data/<name>, and ..data is a symlink to a directory with one state of all.
type mount struct {
	t     *testing.T
	dir   string
	state int
}

func newMount(t *testing.T, files map[string]string) *mount {
	t.Helper()
	m := &mount{t: t, dir: t.TempDir()}
	m.swap(files)
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), m.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *mount) path(name string) string { return filepath.Join(m.dir, name) }

// swap replaces all files at once and removes the former ones.
func (m *mount) swap(files map[string]string) {
	m.t.Helper()
	former := m.path(fmt.Sprint("..state-", m.state))
	m.state++
	state := fmt.Sprint("..state-", m.state)
	if err := os.Mkdir(m.path(state), 0o700); err != nil {
		m.t.Fatal(err)
	}
	for name, content := range files {
		write(m.t, m.path(state), name, content)
	}
	if err := os.Symlink(state, m.path("..tmp")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(m.path("..tmp"), m.path("..data")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.RemoveAll(former); err != nil {
		m.t.Fatal(err)
	}
}
