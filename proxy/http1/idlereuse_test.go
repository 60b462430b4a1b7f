package http1

import (
	"io"
	"testing"
	"time"
)

// A connection is reused although the deadlines of its last exchange have passed.
func TestClient_ReusesConnectionAfterPause(t *testing.T) {
	u, conns := startOrigin(t, nil, (*originConn).echoAll)
	c := newTestClient(t, ClientOptions{Origin: u})
	for range 2 {
		resp, err := c.Do(c.canceler, c.call("GET", "/", ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(&resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Close()
		time.Sleep(slowAfter + 200*time.Millisecond)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for two requests, want 1", n)
	}
}
