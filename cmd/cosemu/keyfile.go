package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// keyFileName is the file that CMD reads. It is a link through ..data, as
// kubelet mounts secrets: a rename points ..data at a directory with the next
// key, so that no reader sees half of one.
const keyFileName = "key.json"

// keepKeyFile writes the first key, and until ctx ends the next one each time
// that half of a key's life is over.
func (s *keySource) keepKeyFile(ctx context.Context) error {
	if err := os.Symlink(filepath.Join("..data", keyFileName), filepath.Join(s.dir, keyFileName)); err != nil {
		return err
	}
	life, err := s.swapKey(ctx)
	if err != nil {
		return err
	}
	s.tasks.Go(func() {
		tick := time.NewTicker(max(life, time.Second) / 2) // the file has whole seconds
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := s.swapKey(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintf(s.stderr, "cosemu: the key file keeps its old key: %v\n", err)
			}
		}
	})
	return nil
}

// swapKey puts a new key in the place of the old one and returns its life.
func (s *keySource) swapKey(ctx context.Context) (time.Duration, error) {
	text, life, err := s.newKey(ctx)
	if err != nil {
		return 0, err
	}
	data, next := filepath.Join(s.dir, "..data"), filepath.Join(s.dir, "..data_next")
	old, _ := os.Readlink(data) // none at first
	version, err := os.MkdirTemp(s.dir, "..")
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(version, keyFileName), text, 0o600); err != nil {
		return 0, err
	}
	if err := os.Symlink(filepath.Base(version), next); err != nil {
		return 0, err
	}
	if err := os.Rename(next, data); err != nil {
		return 0, err
	}
	if old != "" {
		err = os.RemoveAll(filepath.Join(s.dir, old))
	}
	return life, err
}

// newKey asks the key server for a key to everything in the first bucket. Its
// JSON is what goes into the file.
func (s *keySource) newKey(ctx context.Context) (text []byte, life time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.srv.CredentialsServerURL(), nil)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Authorization", "Bearer "+s.options.CredentialsServerToken)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the key server answers %s", resp.Status)
	}
	var times struct{ StartTime, ExpiredTime int64 }
	err = json.Unmarshal(text, &times)
	return text, time.Duration(times.ExpiredTime-times.StartTime) * time.Second, err
}
