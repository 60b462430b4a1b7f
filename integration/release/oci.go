package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// The types below are what this program needs of the OCI image format 1.1, see
// https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md.

// Media types.
const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *ociPlatform      `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type ociPlatform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type ociIndex struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Manifests     []descriptor      `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type ociManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type ociImage struct {
	Created time.Time `json:"created"`
	ociPlatform
	Config  ociConfig    `json:"config"`
	RootFS  ociRootFS    `json:"rootfs"`
	History []ociHistory `json:"history"`
}

type ociConfig struct {
	User        string
	Entrypoint  []string
	WorkingDir  string
	Labels      map[string]string
	Healthcheck healthcheck
}

// healthcheck is a field of Docker, not of OCI. Docker reads it from the configurations of
// OCI images as well; Podman reads it only from images in Docker's format; see
// https://github.com/moby/docker-image-spec/blob/main/spec.md.
type healthcheck struct {
	Test                           []string
	Interval, Timeout, StartPeriod time.Duration
}

type ociRootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type ociHistory struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// dockerImage is an entry of manifest.json, which docker load reads unless Docker uses
// containerd's image store.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// layout is an OCI image layout: blobs by digest.
type layout map[string][]byte

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// blobPath is the path of a blob in the layout.
func blobPath(digest string) string { return "blobs/sha256/" + digest[len("sha256:"):] }

func (l layout) add(mediaType string, content []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digest(content), Size: len(content)}
	l[d.Digest] = content
	return d
}

func (l layout) addJSON(mediaType string, v any) (descriptor, error) {
	content, err := json.Marshal(v)
	return l.add(mediaType, content), err
}

// archive returns the layout as a tar file, with index as its index.json and docker as its
// manifest.json.
func (l layout) archive(modified time.Time, index ociIndex, docker []dockerImage) ([]byte, error) {
	indexJSON, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	dockerJSON, err := json.Marshal(docker)
	if err != nil {
		return nil, err
	}
	files := []tarFile{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", 0o644, indexJSON},
		{"manifest.json", 0o644, dockerJSON},
	}
	for _, digest := range slices.Sorted(maps.Keys(l)) {
		files = append(files, tarFile{blobPath(digest), 0o644, l[digest]})
	}
	var archive bytes.Buffer
	err = writeTar(&archive, modified, files)
	return archive.Bytes(), err
}
