package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// imageTargets are the platforms of the image.
var imageTargets = []target{{"linux", "amd64"}, {"linux", "arm64"}}

// The configuration of the image. The Dockerfile has the same.
const (
	imageUser        = "65532:65532" // numeric, as runAsNonRoot of Kubernetes needs it
	imageDescription = "A sidecar that signs plain HTTP requests for Tencent Cloud COS"
)

var (
	imageEntrypoint  = []string{"/cosproxy"}
	imageHealthcheck = healthcheck{
		Test:     []string{"CMD", "/cosproxy", "healthcheck"},
		Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 30 * time.Second,
	}
)

// imageName is the name of the image after it was loaded. localhost is not a registry, so
// the name can be confused with no published image.
func imageName(version string) string { return "localhost/cosproxy:" + version }

// labels are the labels of the image, and the annotations of its index and manifests.
func (s *source) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "cosproxy",
		"org.opencontainers.image.description": imageDescription,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     s.version,
		"org.opencontainers.image.revision":    s.revision,
		"org.opencontainers.image.created":     s.committed.Format(time.RFC3339),
	}
}

// writeImage writes the image to the folder out. The programs must have been compiled.
func (s *source) writeImage(ctx context.Context, out string) error {
	trees := make(map[target][]tarFile)
	for _, t := range imageTargets {
		bill, err := s.bill(ctx, t.environ()...)
		if err != nil {
			return err
		}
		if trees[t], err = imageTree(s.tree, s.bin(t), bill); err != nil {
			return err
		}
	}
	archive, err := s.image(trees)
	if err != nil {
		return err
	}
	return write(out, "cosproxy-"+s.version+"-image.tar", archive)
}

// imageTree returns all files of the image: the program, its license and its bill of
// materials. The bill is a file and no OCI referrer: every registry and docker load keep a
// file, and scanners find it by its name.
func imageTree(tree, bin string, bill []byte) ([]tarFile, error) {
	program, err := os.ReadFile(filepath.Join(bin, "cosproxy"))
	if err != nil {
		return nil, err
	}
	license, err := os.ReadFile(filepath.Join(tree, "LICENSE"))
	return []tarFile{
		{"LICENSE", 0o644, license},
		{"cosproxy", 0o755, program},
		{"sbom.cdx.json", 0o644, bill},
	}, err
}

// image returns the image for all platforms, as an OCI archive.
func (s *source) image(trees map[target][]tarFile) ([]byte, error) {
	blobs := make(layout)
	platforms := ociIndex{SchemaVersion: 2, MediaType: indexType, Annotations: s.labels()}
	var docker []dockerImage
	for _, t := range imageTargets {
		manifest, err := s.addPlatform(blobs, t, trees[t])
		if err != nil {
			return nil, fmt.Errorf("image for %s: %w", t.arch, err)
		}
		d, err := blobs.addJSON(manifestType, manifest)
		if err != nil {
			return nil, err
		}
		d.Platform = &ociPlatform{t.arch, t.os}
		platforms.Manifests = append(platforms.Manifests, d)
		docker = append(docker, dockerImage{
			Config:   blobPath(manifest.Config.Digest),
			RepoTags: []string{imageName(s.version) + "-" + t.arch},
			Layers:   []string{blobPath(manifest.Layers[0].Digest)},
		})
	}
	d, err := blobs.addJSON(indexType, platforms)
	if err != nil {
		return nil, err
	}
	d.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": s.version,
		"io.containerd.image.name":          imageName(s.version), // read by containerd, Docker and Podman
	}
	top := ociIndex{SchemaVersion: 2, MediaType: indexType, Manifests: []descriptor{d}}
	return blobs.archive(s.committed, top, docker)
}

// addPlatform adds the layer and the configuration of one platform to blobs, and returns
// their manifest.
func (s *source) addPlatform(blobs layout, t target, files []tarFile) (ociManifest, error) {
	var layer bytes.Buffer
	if err := writeTar(&layer, s.committed, files); err != nil {
		return ociManifest{}, err
	}
	packed, err := compress(layer.Bytes())
	if err != nil {
		return ociManifest{}, err
	}
	config, err := blobs.addJSON(configType, ociImage{
		Created:     s.committed,
		ociPlatform: ociPlatform{t.arch, t.os},
		Config: ociConfig{
			User: imageUser, Entrypoint: imageEntrypoint, WorkingDir: "/", Labels: s.labels(), Healthcheck: imageHealthcheck,
		},
		RootFS:  ociRootFS{"layers", []string{digest(layer.Bytes())}},
		History: []ociHistory{{s.committed, "cosproxy/integration/release"}},
	})
	return ociManifest{
		SchemaVersion: 2, MediaType: manifestType, Config: config,
		Layers: []descriptor{blobs.add(layerType, packed)}, Annotations: s.labels(),
	}, err
}
