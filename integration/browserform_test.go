//go:build browser

package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

// form is a page with a plain form that uploads a file of 3 MiB, with a frame for the
// response.
const form = `
	document.body.innerHTML = '<form action="%s/" method="post" enctype="multipart/form-data" target="frame">' +
		'<input name="key" value="uploads/${filename}"><input name="success_action_status" value="201">' +
		'<input name="file" type="file"></form><iframe name="frame"></iframe>';
	const files = new DataTransfer();
	files.items.add(new File(["0123456789abcdef".repeat(196608)], "目录 a+b.txt", {type: "text/x-test"}));
	document.querySelector("[type=file]").files = files.files;
	const done = new Promise(load => document.querySelector("iframe").onload = load);
	document.forms[0].submit();
	await done;
	return "sent";`

// TestBrowser_Form checks that an HTML form of a listed site can upload a file, and
// that of another site cannot.
func TestBrowser_Form(t *testing.T) {
	for _, listed := range []bool{true, false} {
		t.Run(fmt.Sprint("listed ", listed), func(t *testing.T) {
			emu := startEmulator(t, cosemu.Options{StrictSignature: true})
			var target string
			page := newPageServer(t, func(reportTo string) string { return script(reportTo, fmt.Sprintf(form, target)) })
			env := sidecarEnv(emu)
			if listed {
				env = append(env, "COSPROXY_ALLOWED_ORIGINS="+page.origin("localhost"))
			}
			s := startSidecar(t, program(), env...)
			target = s.url
			if report := page.visit(t, page.origin("localhost")+"/"); report != "sent" {
				t.Errorf("the page saw %s", report)
			}
			if !listed {
				if got := requestsSince(emu, 0); len(got) != 0 {
					t.Errorf("COS got %q", got)
				}
				return
			}
			if got := readDirect(t, emu, "uploads/目录 a+b.txt"); string(got) != strings.Repeat("0123456789abcdef", 196608) {
				t.Errorf("COS holds %d bytes", len(got))
			}
		})
	}
}
