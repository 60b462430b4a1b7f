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

// httpSources are the sources that use HTTP. Each one is configured to send one request to
// the URL, authenticated by secret if the source authenticates its requests.
var httpSources = map[string]func(t *testing.T, url string) credcache.Source{
	"sts":  func(t *testing.T, url string) credcache.Source { return stsSource(t, url, nil) },
	"role": func(t *testing.T, url string) credcache.Source { return roleSource(t, url, nil) },
	"role with a caller": func(t *testing.T, url string) credcache.Source {
		return roleSource(t, url, func(o *credcache.RoleOptions) {
			o.Pair, o.Caller = nil, callerOf(t, credcache.NewStatic(temporary(1, 0)))
		})
	},
	"oidc": func(t *testing.T, url string) credcache.Source { return oidcSource(t, url, nil) },
	"cvm":  func(t *testing.T, url string) credcache.Source { return cvmSource(t, url, "example") },
	"http": func(t *testing.T, url string) credcache.Source { return httpSource(t, url, nil) },
}

// sourceName returns SourceError.Source of one of the httpSources.
func sourceName(name string) string { return strings.Fields(name)[0] }

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

// onConn takes over the connection, for faults below HTTP.
func onConn(do func(*net.TCPConn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		do(conn.(*net.TCPConn))
		conn.Close()
	}
}

func TestSources_InvalidResponse(t *testing.T) {
	garbage := credcache.SourceError{Message: "or truncated response", Hint: "check", Retryable: true}
	refused := func(code int, retryable bool) credcache.SourceError {
		return credcache.SourceError{Code: fmt.Sprint("HTTP ", code), Retryable: retryable}
	}
	for _, tt := range []struct {
		name    string
		respond http.HandlerFunc
		want    credcache.SourceError
		cause   error
	}{
		{"HTML", text("<html>" + secret), garbage, credcache.ErrInvalidResponse},
		{"a string", text(`"` + secret + `"`), garbage, credcache.ErrInvalidResponse},
		{"half a JSON", text(`{"Response":{"Credentials":{"TmpSecretKey":"` + secret), garbage, credcache.ErrInvalidResponse},
		{"null", text("null"), credcache.SourceError{Retryable: true}, credcache.ErrInvalidResponse},
		{"no field of credentials", text("{}"), credcache.SourceError{Retryable: true}, credcache.ErrInvalidResponse},
		{"empty", text(""), garbage, credcache.ErrInvalidResponse},
		{"too long", text(strings.Repeat(" ", 65<<10) + "{}"),
			credcache.SourceError{Message: "more than 65536 bytes", Retryable: true}, credcache.ErrInvalidResponse},
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
		{"truncated", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, `{"Response":`)
		}, garbage, credcache.ErrInvalidResponse},
		{"not HTTP", onConn(func(c *net.TCPConn) { _, _ = io.WriteString(c, "220 "+secret+"\r\n\r\n") }), garbage, credcache.ErrInvalidResponse},
		{"reset", onConn(func(c *net.TCPConn) { _ = c.SetLinger(0) }), credcache.SourceError{Message: "reset", Retryable: true}, nil},
	} {
		for name, open := range httpSources {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				calls := 0
				server := stsServer(t, func(w http.ResponseWriter, r *http.Request) { calls++; tt.respond(w, r) })
				tt.want.Source = sourceName(name)
				wantSourceError(t.Context(), t, open(t, server.URL), tt.want, tt.cause)
				server.Close()
				if calls != 1 {
					t.Errorf("%d requests, want 1: redirects are not followed, and requests are not repeated", calls)
				}
			})
		}
	}
}

func TestSources_ConnectionRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	for name, open := range httpSources {
		t.Run(name, func(t *testing.T) {
			wantSourceError(t.Context(), t, open(t, server.URL),
				credcache.SourceError{Source: sourceName(name), Message: "connection refused", Hint: "check ", Retryable: true}, nil)
		})
	}
}

func TestSources_UntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	plain := stsServer(t, stsResponse(""))
	for name, open := range httpSources {
		t.Run(name, func(t *testing.T) {
			wantSourceError(t.Context(), t, open(t, server.URL),
				credcache.SourceError{Source: sourceName(name), Message: "certificate", Retryable: true}, nil)
			wantSourceError(t.Context(), t, open(t, "https"+strings.TrimPrefix(plain.URL, "http")),
				credcache.SourceError{Source: sourceName(name), Retryable: true}, nil)
		})
	}
}

func TestSources_ContextCanceled(t *testing.T) {
	for when, begin := range map[string]func(http.ResponseWriter){
		"before the header": func(http.ResponseWriter) {},
		"in the body": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"Response":`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		for name, open := range httpSources {
			t.Run(when+"/"+name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				server := stsServer(t, func(_ http.ResponseWriter, r *http.Request) {})
				server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body) // otherwise the server does not notice that the client disconnects
					begin(w)
					cancel()
					<-r.Context().Done()
				})
				wantSourceError(ctx, t, open(t, server.URL),
					credcache.SourceError{Source: sourceName(name), Message: "in time", Hint: "check ", Retryable: true}, context.Canceled)
			})
		}
	}
}

func TestSources_SilentServer(t *testing.T) {
	server := stsServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	transport := &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond, DisableKeepAlives: true}
	for name, source := range map[string]credcache.Source{
		"sts":  stsSource(t, server.URL, func(o *credcache.STSOptions) { o.Transport = transport }),
		"role": roleSource(t, server.URL, func(o *credcache.RoleOptions) { o.Transport = transport }),
		"oidc": oidcSource(t, server.URL, func(o *credcache.OIDCOptions) { o.Transport = transport }),
		"http": httpSource(t, server.URL, func(o *credcache.HTTPOptions) { o.Transport = transport }),
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

// mount is a directory like a Secret mounted by kubelet: its files are symlinks to
// ..data/<name>, and ..data is a symlink to a directory with one version of all files.
type mount struct {
	t       *testing.T
	dir     string
	version int
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

// swap replaces all files at once and removes the old ones.
func (m *mount) swap(files map[string]string) {
	m.t.Helper()
	old := m.path(fmt.Sprint("..version-", m.version))
	m.version++
	version := fmt.Sprint("..version-", m.version)
	if err := os.Mkdir(m.path(version), 0o700); err != nil {
		m.t.Fatal(err)
	}
	for name, content := range files {
		write(m.t, m.path(version), name, content)
	}
	if err := os.Symlink(version, m.path("..tmp")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(m.path("..tmp"), m.path("..data")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.RemoveAll(old); err != nil {
		m.t.Fatal(err)
	}
}
