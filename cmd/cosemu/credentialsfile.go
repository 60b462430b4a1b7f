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

// credentialsFileName is the file that CMD reads. It is a link through ..data, as
// kubelet mounts secrets: a rename moves ..data to a directory with new credentials,
// so readers never see a part of them.
const credentialsFileName = "credentials.json"

// maintainFile writes the first credentials and, until ctx ends, new ones each time
// that half of their lifetime is over.
func (s *credentialSource) maintainFile(ctx context.Context) error {
	if err := os.Symlink(filepath.Join("..data", credentialsFileName), filepath.Join(s.dir, credentialsFileName)); err != nil {
		return err
	}
	lifetime, err := s.replaceFile(ctx)
	if err != nil {
		return err
	}
	s.background.Go(func() {
		tick := time.NewTicker(max(lifetime, time.Second) / 2) // the file contains whole seconds
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := s.replaceFile(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintf(s.stderr, "cosemu: cannot replace the credentials file, which keeps the old credentials: %v\n", err)
			}
		}
	})
	return nil
}

// replaceFile replaces the credentials in the file and returns the lifetime of the new
// ones.
func (s *credentialSource) replaceFile(ctx context.Context) (time.Duration, error) {
	text, lifetime, err := s.fetchCredentials(ctx)
	if err != nil {
		return 0, err
	}
	data, next := filepath.Join(s.dir, "..data"), filepath.Join(s.dir, "..data_next")
	old, _ := os.Readlink(data) // fails the first time
	version, err := os.MkdirTemp(s.dir, "..")
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(version, credentialsFileName), text, 0o600); err != nil {
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
	return lifetime, err
}

// fetchCredentials gets credentials for everything in the first bucket from the
// credentials server. Its JSON is the content of the file.
func (s *credentialSource) fetchCredentials(ctx context.Context) (text []byte, lifetime time.Duration, err error) {
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
		return nil, 0, fmt.Errorf("credentials server: %s", resp.Status)
	}
	var times struct{ StartTime, ExpiredTime int64 }
	err = json.Unmarshal(text, &times)
	return text, time.Duration(times.ExpiredTime-times.StartTime) * time.Second, err
}
