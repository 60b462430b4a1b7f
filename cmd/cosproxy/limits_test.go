package main

import (
	"reflect"
	"testing"
	"time"

	"cosproxy/proxy"
)

func TestLimits_FromEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings []string
		want     proxy.Limits
		server   proxy.ServerOptions
	}{
		{
			"defaults", nil,
			proxy.Limits{Requests: 1024, Queued: 1024, QueueTimeout: 10 * time.Second, HeaderBytes: 64 << 10, StallTimeout: time.Minute},
			proxy.ServerOptions{HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute},
		},
		{
			"all set",
			[]string{
				"COSPROXY_MAX_REQUESTS=2", "COSPROXY_MAX_QUEUED=0", "COSPROXY_QUEUE_TIMEOUT=3s", "COSPROXY_MAX_BODY_BYTES=5GiB",
				"COSPROXY_MAX_HEADER_BYTES=1MiB",
				"COSPROXY_HEADER_TIMEOUT=4s", "COSPROXY_IDLE_TIMEOUT=5s", "COSPROXY_STALL_TIMEOUT=6s",
			},
			proxy.Limits{Requests: 2, Queued: -1, QueueTimeout: 3 * time.Second, HeaderBytes: 1 << 20, BodyBytes: 5 << 30, StallTimeout: 6 * time.Second},
			proxy.ServerOptions{HeaderTimeout: 4 * time.Second, IdleTimeout: 5 * time.Second},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(settingsFor(tt.settings...))
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.limits(); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if got := cfg.serverOptions(); !reflect.DeepEqual(got, tt.server) {
				t.Errorf("got  %+v\nwant %+v", got, tt.server)
			}
		})
	}
}
