package proxy_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cosproxy/proxy"
	"cosproxy/signer"
)

// waited are credentials that need a wait.
type waited struct{ *stubCredentials }

func (w waited) Credentials(ctx context.Context) (signer.Credentials, error) {
	_ = ctx.Done()
	return w.stubCredentials.Credentials(ctx)
}

// A wait for credentials and a slow response both watch the client, which may send its
// next request.
func TestWaitContext_SlowResponse(t *testing.T) {
	r := start(t, setup{
		options: func(o *proxy.Options) { o.Routes[0].Credentials = waited{o.Routes[0].Credentials.(*stubCredentials)} },
		handle: func(a *arrival) {
			time.Sleep(1200 * time.Millisecond)
			a.respond(ok)
		},
	})
	c := r.dial(t)
	c.send(noBody)
	time.Sleep(100 * time.Millisecond)
	c.send(noBody) // in advance: it ends the watch
	for range 2 {
		if rep := c.reply("GET"); rep.status != http.StatusOK {
			t.Errorf("got\n%s%s", rep.head, rep.body)
		}
	}
}
