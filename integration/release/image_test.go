package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	builtImage      = flag.String("image", "", "`file` of a built image to check too")
	dockerfileImage = flag.String("dockerfile", "", "`file` of an image that the Dockerfile built from the files of -image, to compare")
)

func testSource() *source {
	return &source{version: "0.1.0", revision: strings.Repeat("0123456789", 4), committed: committed}
}

// testImage returns an image of small files.
func testImage(t *testing.T) []byte {
	t.Helper()
	trees := make(map[target][]tarFile)
	for _, of := range imageTargets {
		tree, bin := t.TempDir(), t.TempDir()
		for path, content := range map[string]string{
			filepath.Join(tree, "LICENSE"): "license", filepath.Join(bin, "cosproxy"): "program for " + of.arch,
		} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if trees[of], err = imageTree(tree, bin, []byte("bill for "+of.arch)); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := testSource().image(trees)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestImage_DependsOnContentAlone(t *testing.T) {
	if !bytes.Equal(testImage(t), testImage(t)) {
		t.Error("two images of one content differ")
	}
}

func TestImage_Layout(t *testing.T) {
	r := readImage(t, testImage(t))
	r.check(t)
	for _, of := range imageTargets {
		if program := r.platforms[of.arch].files["cosproxy"]; string(program) != "program for "+of.arch {
			t.Errorf("%s has %q", of.arch, program)
		}
		if bill := r.platforms[of.arch].files["sbom.cdx.json"]; string(bill) != "bill for "+of.arch {
			t.Errorf("%s has %q", of.arch, bill)
		}
	}
	if want := testSource().labels(); !reflect.DeepEqual(r.labels, want) {
		t.Errorf("annotations %v, want %v", r.labels, want)
	}
	if created := r.labels["org.opencontainers.image.created"]; created != "2026-01-02T03:04:06Z" {
		t.Errorf("created %s", created)
	}
}

// TestImage_JSON compares the configuration with the format, which the other tests read
// with the types that wrote it.
func TestImage_JSON(t *testing.T) {
	r := readImage(t, testImage(t))
	p := r.platforms["arm64"]
	labels, err := json.Marshal(r.labels)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"created":"2026-01-02T03:04:06Z","architecture":"arm64","os":"linux",` +
		`"config":{"User":"65532:65532","Entrypoint":["/cosproxy"],"WorkingDir":"/","Labels":` + string(labels) + `,` +
		`"Healthcheck":{"Test":["CMD","/cosproxy","healthcheck"],"Interval":10000000000,"Timeout":5000000000,"StartPeriod":30000000000}},` +
		`"rootfs":{"type":"layers","diff_ids":["` + p.image.RootFS.DiffIDs[0] + `"]},` +
		`"history":[{"created":"2026-01-02T03:04:06Z","created_by":"cosproxy/integration/release"}]}`
	if got := string(r.files[blobPath(p.manifest.Config.Digest)]); got != want {
		t.Errorf("configuration\n%s\nwant\n%s", got, want)
	}
}

// TestImage_Built checks the file that -image names.
func TestImage_Built(t *testing.T) {
	if *builtImage == "" {
		return // make test-image sets it
	}
	archive, err := os.ReadFile(*builtImage)
	if err != nil {
		t.Fatal(err)
	}
	r := readImage(t, archive)
	r.check(t)
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for arch, platform := range r.platforms {
		checkProgram(t, platform.files["cosproxy"], machines[arch])
		var bill struct {
			BOMFormat string
			Metadata  struct{ Component struct{ Purl string } }
		}
		err := json.Unmarshal(platform.files["sbom.cdx.json"], &bill)
		if err != nil || bill.BOMFormat != "CycloneDX" || !strings.Contains(bill.Metadata.Component.Purl, "goarch="+arch) {
			t.Errorf("bill of materials for %s: %+v, %v", arch, bill, err)
		}
	}
}

// TestImage_Dockerfile compares the image that -dockerfile names, in the format of docker
// save, with that of -image for the same platform: the configurations and the files.
func TestImage_Dockerfile(t *testing.T) {
	if *dockerfileImage == "" {
		return // make test-image sets it
	}
	archive, err := os.ReadFile(*builtImage)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(*dockerfileImage)
	if err != nil {
		t.Fatal(err)
	}
	r := readImage(t, archive)
	files := make(map[string][]byte)
	eachEntry(t, saved, func(header *tar.Header, content []byte) { files[header.Name] = content })
	var manifest []dockerImage
	r.unmarshal(files["manifest.json"], &manifest)
	var image struct {
		ociPlatform
		Config struct {
			ociConfig
			Cmd, Shell   []string
			Volumes      map[string]struct{}
			ExposedPorts map[string]struct{}
		}
	}
	if err := json.Unmarshal(files[manifest[0].Config], &image); err != nil {
		t.Fatal(err)
	}
	want := r.platforms[image.Architecture]
	image.Config.WorkingDir = cmp.Or(image.Config.WorkingDir, "/") // the default
	if c := image.Config; !reflect.DeepEqual(c.ociConfig, want.image.Config) || len(c.Cmd)+len(c.Shell)+len(c.Volumes)+len(c.ExposedPorts) > 0 {
		t.Errorf("the Dockerfile gives the configuration %+v, want %+v", c, want.image.Config)
	}
	tree := make(map[string][]byte)
	for _, layer := range manifest[0].Layers {
		eachEntry(t, files[layer], func(header *tar.Header, content []byte) {
			if mode := header.Mode & 0o777; header.Typeflag != tar.TypeReg || header.Uid != 0 || header.Gid != 0 || mode != imageModes[header.Name] {
				t.Errorf("%+v is not a file of root with the mode of make image", header)
			}
			tree[header.Name] = content
		})
	}
	if !maps.EqualFunc(tree, want.files, bytes.Equal) {
		t.Errorf("the Dockerfile gives the files %v, want %v", slices.Sorted(maps.Keys(tree)), slices.Sorted(maps.Keys(want.files)))
	}
}

// imageModes are the permissions of the files of the image.
var imageModes = map[string]int64{"LICENSE": 0o644, "cosproxy": 0o755, "sbom.cdx.json": 0o644}

// checkProgram checks that the program is static and for machine.
func checkProgram(t *testing.T, program []byte, machine elf.Machine) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != machine {
		t.Errorf("a program for %v, want %v", f.Machine, machine)
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the program needs a dynamic linker, which the image lacks")
		}
	}
}

// imageReader reads an image archive and reports what breaks the format.
type imageReader struct {
	t         *testing.T
	files     map[string][]byte // of the archive
	used      map[string]bool   // blobs with a descriptor
	docker    []dockerImage
	labels    map[string]string // annotations of the index
	platforms map[string]readPlatform
}

type readPlatform struct {
	manifest ociManifest
	image    ociImage
	files    map[string][]byte
}

func readImage(t *testing.T, archive []byte) *imageReader {
	t.Helper()
	r := &imageReader{
		t: t, files: make(map[string][]byte), used: make(map[string]bool), platforms: make(map[string]readPlatform),
	}
	for _, f := range tarEntries(t, archive) {
		r.files[f.header.Name] = f.content
		if f.header.Mode != 0o644 {
			t.Errorf("%s has mode %o", f.header.Name, f.header.Mode)
		}
	}
	var top, platforms ociIndex
	r.unmarshal(r.files["index.json"], &top)
	r.unmarshal(r.files["manifest.json"], &r.docker)
	if len(top.Manifests) != 1 {
		t.Fatalf("index.json lists %d images", len(top.Manifests))
	}
	r.unmarshal(r.blob(top.Manifests[0], indexType), &platforms)
	r.labels = platforms.Annotations
	for _, index := range []ociIndex{top, platforms} {
		if index.SchemaVersion != 2 || index.MediaType != indexType {
			t.Errorf("index of version %d and type %s", index.SchemaVersion, index.MediaType)
		}
	}
	for _, d := range platforms.Manifests {
		r.readPlatform(d)
	}
	return r
}

func (r *imageReader) unmarshal(content []byte, v any) {
	r.t.Helper()
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		r.t.Fatalf("%v in %s", err, content)
	}
}

// blob returns the content that d describes.
func (r *imageReader) blob(d descriptor, mediaType string) []byte {
	r.t.Helper()
	content, found := r.files[blobPath(d.Digest)]
	if !found || digest(content) != d.Digest || len(content) != d.Size || d.MediaType != mediaType {
		r.t.Errorf("%+v describes %d bytes with %s; want type %s", d, len(content), digest(content), mediaType)
	}
	r.used[blobPath(d.Digest)] = true
	return content
}

func (r *imageReader) readPlatform(d descriptor) {
	t := r.t
	t.Helper()
	p := readPlatform{files: make(map[string][]byte)}
	r.unmarshal(r.blob(d, manifestType), &p.manifest)
	r.unmarshal(r.blob(p.manifest.Config, configType), &p.image)
	if len(p.manifest.Layers) != 1 || p.manifest.SchemaVersion != 2 || p.manifest.MediaType != manifestType {
		t.Fatalf("manifest %+v", p.manifest)
	}
	if d.Platform == nil || *d.Platform != p.image.ociPlatform {
		t.Errorf("the index has platform %v, the configuration %v", d.Platform, p.image.ociPlatform)
	}
	packed, err := gzip.NewReader(bytes.NewReader(r.blob(p.manifest.Layers[0], layerType)))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	if want := (ociRootFS{"layers", []string{digest(layer)}}); !reflect.DeepEqual(p.image.RootFS, want) {
		t.Errorf("rootfs %v, want %v", p.image.RootFS, want)
	}
	for _, f := range tarEntries(t, layer) {
		mode, known := imageModes[f.header.Name]
		if !known || f.header.Mode != mode || !f.header.ModTime.Equal(p.image.Created) {
			t.Errorf("%s with mode %o and time %v", f.header.Name, f.header.Mode, f.header.ModTime)
		}
		p.files[f.header.Name] = f.content
	}
	if len(p.files) != len(imageModes) {
		t.Errorf("the layer has %d files", len(p.files))
	}
	r.platforms[p.image.Architecture] = p
}

// check checks what an image of cosproxy has besides a valid format.
func (r *imageReader) check(t *testing.T) {
	t.Helper()
	if layout := string(r.files["oci-layout"]); layout != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout is %s", layout)
	}
	if n := len(r.used) + len([]string{"oci-layout", "index.json", "manifest.json"}); len(r.files) != n {
		t.Errorf("the archive has %d files, of which %d are in use", len(r.files), n)
	}
	if len(r.platforms) != len(imageTargets) || len(r.docker) != len(imageTargets) {
		t.Fatalf("%d platforms, and %d for docker load", len(r.platforms), len(r.docker))
	}
	for i, of := range imageTargets {
		p := r.platforms[of.arch]
		if p.image.ociPlatform != (ociPlatform{of.arch, of.os}) {
			t.Errorf("platform %v, want %v", p.image.ociPlatform, of)
		}
		if !reflect.DeepEqual(p.manifest.Annotations, r.labels) {
			t.Errorf("annotations of %s: %v, want %v", of.arch, p.manifest.Annotations, r.labels)
		}
		want := ociConfig{
			User: "65532:65532", Entrypoint: []string{"/cosproxy"}, WorkingDir: "/", Labels: r.labels,
			Healthcheck: healthcheck{[]string{"CMD", "/cosproxy", "healthcheck"}, 10 * time.Second, 5 * time.Second, 30 * time.Second},
		}
		if !reflect.DeepEqual(p.image.Config, want) {
			t.Errorf("configuration of %s: %+v, want %+v", of.arch, p.image.Config, want)
		}
		docker := dockerImage{
			blobPath(p.manifest.Config.Digest), []string{imageName(r.labels["org.opencontainers.image.version"]) + "-" + of.arch},
			[]string{blobPath(p.manifest.Layers[0].Digest)},
		}
		if !reflect.DeepEqual(r.docker[i], docker) {
			t.Errorf("manifest.json has %v, want %v", r.docker[i], docker)
		}
	}
	for name, value := range r.labels {
		if !strings.HasPrefix(name, "org.opencontainers.image.") || value == "" {
			t.Errorf("label %s=%q", name, value)
		}
	}
}

type tarEntry struct {
	header  *tar.Header
	content []byte
}

// tarEntries reads a tar file, which must hold nothing but files of root.
func tarEntries(t *testing.T, archive []byte) (entries []tarEntry) {
	t.Helper()
	var names []string
	eachEntry(t, archive, func(header *tar.Header, content []byte) {
		if header.Typeflag != tar.TypeReg || header.Uid != 0 || header.Gid != 0 || header.Uname+header.Gname != "" || len(header.PAXRecords) > 0 {
			t.Errorf("%+v is no plain file of root", header)
		}
		entries = append(entries, tarEntry{header, content})
		names = append(names, header.Name)
	})
	if slices.Sort(names); len(slices.Compact(names)) != len(entries) {
		t.Errorf("a name occurs twice in %v", names)
	}
	return entries
}

// eachEntry calls f for each entry of a tar file.
func eachEntry(t *testing.T, archive []byte, f func(header *tar.Header, content []byte)) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f(header, content)
	}
}
