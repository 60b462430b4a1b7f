//go:build tools

package s3clients_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The commands of this file are not Go modules. Install them, as .ci/run does.
const installTools = "install the clients of make test-s3 (Debian: apt-get install rclone restic s3cmd awscli python3-boto3)"

// tool is a command with its environment.
type tool struct {
	name string
	env  []string
}

// newTool fails if a command is not installed.
func newTool(t *testing.T, s *sidecar, name string, env ...string) *tool {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: %s", err, installTools)
	}
	all := []string{
		"AWS_ACCESS_KEY_ID=" + dummyID, "AWS_SECRET_ACCESS_KEY=" + dummyKey, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "LC_ALL=C.UTF-8",
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			all = append(all, name+"="+value)
		}
	}
	if s.cert != "" {
		all = append(all, "AWS_CA_BUNDLE="+s.cert)
	}
	return &tool{path, append(all, env...)}
}

// run fails if the command fails. It returns the output.
func (c *tool) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(c.name), strings.Join(args, " "), err, out[max(0, len(out)-4000):])
	}
	return out
}

func (c *tool) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.name, args...)
	cmd.Env, cmd.WaitDelay = c.env, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// wantFile fails unless the file has this content.
func wantFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, want %d, %v", name, len(got), len(want), err)
	}
}

// wantStored fails unless the object has this content.
func (s *sidecar) wantStored(t *testing.T, key string, want []byte) {
	t.Helper()
	o, known := s.emu.Object(bucket, key)
	if !known {
		t.Errorf("%q is not stored", key)
		return
	}
	body, err := o.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(body); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%q has %d bytes, want %d, %v", key, got.Len(), len(want), err)
	}
}

func contains(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in\n%s", what, part, text)
		}
	}
}

func random(t *testing.T, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// largeFile creates a file of 100 MB.
func largeFile(t *testing.T) (name string, content []byte) {
	t.Helper()
	content = random(t, 100<<20)
	return writeFile(t, "large file", content), content
}

// tree creates a directory with small, empty and large files, and names that need escapes.
func tree(t *testing.T) (dir string, files map[string][]byte) {
	t.Helper()
	dir, files = t.TempDir(), map[string][]byte{
		"plain.txt": []byte("plain"), "empty": nil, "dir/a b+c": []byte("blank"), "dir/中文 ü.txt": []byte("words"),
		"dir/100%/~*'()!$&,;:=@": []byte("signs"), "a%2Fb": []byte("escape"), "a?b#c": []byte("delimiters"), "%": []byte("percent"),
		"..a/.b": []byte("dots"), `"<>\^{|}` + "`": []byte("quotes"), "tail ": []byte("blank"), "large": random(t, 24<<20),
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, files
}

func TestTools_Boto3(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		tested := map[string]bool{}
		for _, name := range []string{"python3", "/usr/bin/python3"} { // the second is that of the packages
			if _, err := exec.LookPath(name); err != nil {
				continue
			}
			python := newTool(t, s, name)
			version, err := python.try(t, "-c", "import boto3; print(boto3.__version__)")
			if err != nil || tested[version] {
				continue
			}
			tested[version] = true
			s.fill(t, manyKeys())
			t.Log(python.run(t, "testdata/boto3_client.py", bucket, s.url(), "path", ""))
			if s.scheme == "http" {
				s.fill(t, manyKeys())
				t.Log(python.run(t, "testdata/boto3_client.py", bucket, "http://"+cosHost, "virtual", s.url()))
			}
			if left := s.emu.Objects(bucket); len(left) != 0 {
				t.Errorf("%d objects are left", len(left))
			}
		}
		if len(tested) == 0 {
			t.Fatalf("no python3 has boto3: %s", installTools)
		}
	})
}

func TestTools_AWSCLI(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		aws := newTool(t, s, "aws")
		t.Log(aws.run(t, "--version"))
		dir, files := tree(t)
		do := func(args ...string) string {
			t.Helper()
			return aws.run(t, append([]string{"--endpoint-url", s.url()}, args...)...)
		}
		to := "s3://" + bucket
		do("s3", "cp", "--recursive", dir, to+"/tree/", "--storage-class", "STANDARD_IA", "--metadata", "color=blue", "--acl", "public-read")
		for name, content := range files {
			s.wantStored(t, "tree/"+name, content)
		}
		if out := do("s3", "sync", "--size-only", dir, to+"/tree/"); strings.Contains(out, "upload:") {
			t.Errorf("the second sync uploads:\n%s", out)
		}
		back := t.TempDir()
		do("s3", "sync", to+"/tree/", back)
		for name, content := range files {
			wantFile(t, filepath.Join(back, name), content)
		}
		contains(t, "ls", do("s3", "ls", "--recursive", to+"/tree/"), "tree/dir/a b+c", "tree/dir/中文 ü.txt", "tree/large")
		do("s3", "cp", to+"/tree/large", to+"/copied large")
		s.wantStored(t, "copied large", files["large"])
		do("s3", "mv", to+"/copied large", to+"/moved/a+b")
		s.wantStored(t, "moved/a+b", files["large"])
		contains(t, "head-object", do("s3api", "head-object", "--bucket", bucket, "--key", "tree/plain.txt"), `"color": "blue"`, "STANDARD_IA")
		contains(t, "ACL", do("s3api", "get-object-acl", "--bucket", bucket, "--key", "tree/plain.txt"), "AllUsers")
		do("s3api", "copy-object", "--bucket", bucket, "--key", "replaced", "--copy-source", bucket+"/tree/plain.txt",
			"--metadata-directive", "REPLACE", "--metadata", "color=red", "--storage-class", "INTELLIGENT_TIERING")
		contains(t, "copy", do("s3api", "head-object", "--bucket", bucket, "--key", "replaced"), `"color": "red"`, "INTELLIGENT_TIERING")
		do("s3api", "delete-object", "--bucket", bucket, "--key", "replaced")
		do("s3api", "put-object-tagging", "--bucket", bucket, "--key", "tree/plain.txt", "--tagging", "TagSet=[{Key=k,Value=v}]")
		contains(t, "tags", do("s3api", "get-object-tagging", "--bucket", bucket, "--key", "tree/plain.txt"), `"Key": "k"`)
		do("s3api", "put-object-acl", "--bucket", bucket, "--key", "tree/plain.txt", "--acl", "private")
		if acl := do("s3api", "get-object-acl", "--bucket", bucket, "--key", "tree/plain.txt"); strings.Contains(acl, "AllUsers") {
			t.Errorf("ACL: %s", acl)
		}
		do("s3api", "delete-object-tagging", "--bucket", bucket, "--key", "tree/plain.txt")
		contains(t, "tags", do("s3api", "get-object-tagging", "--bucket", bucket, "--key", "tree/plain.txt"), `"TagSet": []`)
		url := strings.TrimSpace(do("s3", "presign", to+"/tree/plain.txt"))
		if status, text := send(t, s.client(t), "GET", url, nil, ""); status != 200 || text != "plain" {
			t.Errorf("presigned GET: %d %s", status, text)
		}
		do("s3api", "get-object", "--bucket", bucket, "--key", "tree/plain.txt", "--range", "bytes=1-2", filepath.Join(back, "range"))
		wantFile(t, filepath.Join(back, "range"), []byte("la"))
		for _, key := range []string{"a//b", "dir/", "a/../b"} { // not names of files
			do("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", filepath.Join(dir, "plain.txt"))
			s.wantStored(t, key, files["plain.txt"])
			do("s3api", "get-object", "--bucket", bucket, "--key", key, filepath.Join(back, "key"))
			do("s3api", "delete-object", "--bucket", bucket, "--key", key)
		}
		testAWSLarge(t, s, do)
		s.fill(t, manyKeys())
		if n := strings.Count(do("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", "many/"), `"Key"`); n != 2500 {
			t.Errorf("V2 lists %d keys", n)
		}
		if n := strings.Count(do("s3api", "list-objects", "--bucket", bucket, "--prefix", "many/"), `"Key"`); n != 2500 {
			t.Errorf("V1 lists %d keys", n)
		}
		do("s3api", "delete-objects", "--bucket", bucket, "--delete", "Objects=[{Key=tree/empty},{Key=tree/plain.txt}]")
		do("s3", "rm", "--recursive", "--quiet", to+"/tree/")
		do("s3", "rm", to+"/moved/a+b")
		if left := s.emu.Objects(bucket); len(left) != 2500 {
			t.Errorf("%d objects are left", len(left))
		}
		contains(t, "buckets", do("s3", "ls"), bucket)
	})
}

// testAWSLarge transfers 100 MB in parts and as one body, with the checksums of the client.
func testAWSLarge(t *testing.T, s *sidecar, do func(args ...string) string) {
	t.Helper()
	name, content := largeFile(t)
	back := filepath.Join(t.TempDir(), "back")
	do("s3", "cp", "--quiet", name, "s3://"+bucket+"/large")
	s.wantStored(t, "large", content)
	do("s3", "cp", "--quiet", "s3://"+bucket+"/large", back)
	wantFile(t, back, content)
	do("s3api", "put-object", "--bucket", bucket, "--key", "large", "--body", name)
	s.wantStored(t, "large", content)
	for _, algorithm := range []string{"SHA1", "SHA256"} {
		do("s3api", "put-object", "--bucket", bucket, "--key", "large", "--body", writeFile(t, "body", content[:1<<20]), "--checksum-algorithm", algorithm)
		s.wantStored(t, "large", content[:1<<20])
	}
	do("s3", "rm", "s3://"+bucket+"/large")
}

func TestTools_Rclone(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		t.Run("Other", func(t *testing.T) { testRclone(t, s, "Other", s.url()) })
		if s.scheme == "http" { // this provider does not have path style
			t.Run("TencentCOS", func(t *testing.T) { testRclone(t, s, "TencentCOS", "http://"+cosHost, "http_proxy="+s.url()) })
		}
	})
}

func testRclone(t *testing.T, s *sidecar, provider, endpoint string, env ...string) {
	rclone := newTool(t, s, "rclone", append(env, "AWS_CA_BUNDLE=", "RCLONE_CONFIG=/dev/null", "RCLONE_CA_CERT="+s.cert, "RCLONE_CONFIG_COS_TYPE=s3",
		"RCLONE_CONFIG_COS_PROVIDER="+provider, "RCLONE_CONFIG_COS_ACCESS_KEY_ID="+dummyID, "RCLONE_CONFIG_COS_SECRET_ACCESS_KEY="+dummyKey,
		"RCLONE_CONFIG_COS_ENDPOINT="+endpoint, "RCLONE_CONFIG_COS_REGION="+region,
		"RCLONE_S3_UPLOAD_CUTOFF=8M", "RCLONE_S3_CHUNK_SIZE=5M", "RCLONE_S3_COPY_CUTOFF=8M")...)
	t.Log(strings.SplitN(rclone.run(t, "version"), "\n", 2)[0])
	dir, files := tree(t)
	at := "cos:" + bucket + "/" + provider
	if out := rclone.run(t, "copy", "-v", dir, at+"/tree"); strings.Count(out, "Copied (") != len(files) {
		t.Errorf("copy:\n%s", out)
	}
	for name, content := range files {
		s.wantStored(t, provider+"/tree/"+name, content)
	}
	if out := rclone.run(t, "copy", "-v", dir, at+"/tree"); strings.Contains(out, "Copied (") {
		t.Errorf("the second copy copies:\n%s", out)
	}
	rclone.run(t, "check", dir, at+"/tree")
	rclone.run(t, "check", "--download", dir, at+"/tree")
	back := t.TempDir()
	rclone.run(t, "sync", at+"/tree", back)
	for name, content := range files {
		wantFile(t, filepath.Join(back, name), content)
	}
	if out := rclone.run(t, "copy", "-v", at+"/tree", at+"/server side"); strings.Count(out, "server-side copy") != len(files) {
		t.Errorf("server-side copy:\n%s", out)
	}
	if out := rclone.run(t, "move", "-v", at+"/server side", at+"/moved"); strings.Count(out, "server-side") < len(files) {
		t.Errorf("server-side move:\n%s", out)
	}
	rclone.run(t, "check", dir, at+"/moved")
	if err := os.Remove(filepath.Join(dir, "plain.txt")); err != nil {
		t.Fatal(err)
	}
	rclone.run(t, "sync", dir, at+"/tree")
	if _, known := s.emu.Object(bucket, provider+"/tree/plain.txt"); known {
		t.Error("sync does not delete")
	}
	contains(t, "lsf", rclone.run(t, "lsf", "-R", at+"/tree"), "dir/中文 ü.txt\n", "large\n")
	contains(t, "lsd", rclone.run(t, "lsd", "cos:"), bucket)
	s.fill(t, manyKeys())
	link := strings.Fields(rclone.run(t, "link", at+"/tree/large"))
	if status, text := send(t, s.client(t), "GET", link[len(link)-1], nil, ""); status != 200 || text != string(files["large"]) {
		t.Errorf("%s: %d, %d bytes", link, status, len(text))
	}
	if text := rclone.run(t, "cat", "--offset", "1", "--count", "3", at+"/moved/plain.txt"); text != "lai" {
		t.Errorf("range: %q", text)
	}
	for _, version := range []string{"1", "2"} {
		if n := strings.Count(rclone.run(t, "lsf", "-R", "--files-only", "--s3-list-version", version, "cos:"+bucket+"/many"), "\n"); n != 2500 {
			t.Errorf("V%s lists %d keys", version, n)
		}
	}
	testRcloneProperties(t, s, rclone, dir, at)
	testRcloneLarge(t, s, rclone, at)
	rclone.run(t, "purge", at)
	if left := s.emu.Objects(bucket); len(left) != 2500 {
		t.Errorf("%d objects are left", len(left))
	}
}

// testRcloneProperties checks what rclone stores with an object, also of copies.
func testRcloneProperties(t *testing.T, s *sidecar, rclone *tool, dir, at string) {
	t.Helper()
	rclone.run(t, "copyto", "--s3-no-check-bucket", "--metadata", "--metadata-set", "color=blue", "--s3-storage-class", "STANDARD_IA", "--s3-acl", "public-read",
		"--header-upload", "x-amz-tagging: a=1", filepath.Join(dir, "empty"), at+"/with properties")
	rclone.run(t, "copyto", "--s3-no-check-bucket", "--metadata", "--s3-acl", "public-read", "--s3-storage-class", "STANDARD_IA", at+"/with properties", at+"/copied properties")
	for _, name := range []string{"with properties", "copied properties"} {
		o, _ := s.emu.Object(bucket, strings.TrimPrefix(at, "cos:"+bucket+"/")+"/"+name)
		for field, want := range map[string]string{"x-cos-meta-color": "blue", "x-cos-storage-class": "STANDARD_IA", "x-cos-acl": "public-read"} {
			if got := stored(o, field); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q", name, field, got)
			}
		}
	}
	contains(t, "stat", rclone.run(t, "lsjson", "--stat", "--metadata", at+"/with properties"), `"color": "blue"`, `"tier": "STANDARD_IA"`)
}

// testRcloneLarge transfers 100 MB as one body, also with a presigned URL, and in parts of the
// default size.
func testRcloneLarge(t *testing.T, s *sidecar, rclone *tool, at string) {
	t.Helper()
	name, content := largeFile(t)
	for _, args := range [][]string{{"--s3-upload-cutoff=200M"}, {"--s3-upload-cutoff=200M", "--s3-use-presigned-request"}, {"--s3-upload-cutoff=5M"}} {
		rclone.run(t, append(args, "copyto", "--s3-no-check-bucket", name, at+"/large file")...)
		s.wantStored(t, strings.TrimPrefix(at, "cos:"+bucket+"/")+"/large file", content)
		back := filepath.Join(t.TempDir(), "back")
		rclone.run(t, "copyto", at+"/large file", back)
		wantFile(t, back, content)
		rclone.run(t, "deletefile", at+"/large file")
	}
}

func TestTools_Restic(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		restic := newTool(t, s, "restic", "RESTIC_REPOSITORY=s3:"+s.url()+"/"+bucket+"/backup", "RESTIC_PASSWORD=password", "RESTIC_CACHE_DIR="+t.TempDir())
		do := func(args ...string) string {
			t.Helper()
			if s.cert != "" {
				args = append([]string{"--cacert", s.cert}, args...)
			}
			return restic.run(t, args...)
		}
		t.Log(do("version"))
		dir, files := tree(t)
		do("init")
		do("backup", dir)
		files["large"] = random(t, 100<<20)
		if err := os.WriteFile(filepath.Join(dir, "large"), files["large"], 0o600); err != nil {
			t.Fatal(err)
		}
		do("backup", dir)
		contains(t, "snapshots", do("snapshots"), "2 snapshots")
		do("check", "--read-data")
		do("restore", "latest", "--target", t.TempDir())
		before := len(s.emu.Objects(bucket))
		contains(t, "forget", do("forget", "--keep-last", "1", "--prune"), "1 snapshots have been removed")
		if after := len(s.emu.Objects(bucket)); after >= before {
			t.Errorf("%d objects before pruning, %d after it", before, after)
		}
		do("check", "--read-data")
		do("-o", "s3.list-objects-v1=true", "check")
		back := t.TempDir()
		do("restore", "latest", "--target", back)
		for name, content := range files {
			wantFile(t, filepath.Join(back, dir, name), content)
		}
	})
}

func TestTools_S3cmd(t *testing.T) {
	bySchemes(t, func(t *testing.T, s *sidecar) {
		config := writeFile(t, "s3cfg", fmt.Appendf(nil, `[default]
access_key = %s
secret_key = %s
host_base = %s
host_bucket = %s
bucket_location = %s
use_https = %t
signurl_use_https = %[6]t
ca_certs_file = %[7]s
multipart_chunk_size_mb = 5
`, dummyID, dummyKey, s.addr, s.addr, region, s.scheme == "https", s.cert))
		s3cmd := newTool(t, s, "s3cmd")
		do := func(args ...string) string {
			t.Helper()
			return s3cmd.run(t, append([]string{"-c", config}, args...)...)
		}
		t.Log(do("--version"))
		dir, files := tree(t)
		to := "s3://" + bucket
		do("put", "--recursive", "--storage-class=STANDARD_IA", "--add-header=x-amz-meta-color:blue", dir+"/", to+"/tree/")
		for name, content := range files {
			s.wantStored(t, "tree/"+name, content)
		}
		contains(t, "ls", do("ls", "--recursive", to+"/tree/"), to+"/tree/dir/a b+c", to+"/tree/dir/中文 ü.txt")
		contains(t, "info", do("info", to+"/tree/plain.txt"), "x-amz-meta-color", "STANDARD_IA")
		back := t.TempDir()
		do("get", "--recursive", to+"/tree/", back+"/")
		for name, content := range files {
			wantFile(t, filepath.Join(back, name), content)
		}
		if out := do("sync", dir+"/", to+"/tree/"); strings.Contains(out, "upload:") {
			t.Errorf("the second sync uploads:\n%s", out)
		}
		do("cp", to+"/tree/plain.txt", to+"/copied a+b")
		s.wantStored(t, "copied a+b", files["plain.txt"])
		do("mv", to+"/copied a+b", to+"/moved")
		s.wantStored(t, "moved", files["plain.txt"])
		do("setacl", "--acl-public", to+"/moved")
		contains(t, "info", do("info", to+"/moved"), "*anon*: READ")
		do("modify", "--add-header=x-amz-meta-color:red", "--storage-class=STANDARD_IA", to+"/moved")
		contains(t, "info", do("info", to+"/moved"), "x-amz-meta-color: red", "STANDARD_IA")
		s.fill(t, manyKeys())
		if n := strings.Count(do("ls", "--recursive", to+"/many/"), "\n"); n != 2500 {
			t.Errorf("%d keys are listed", n)
		}
		contains(t, "buckets", do("ls"), to)
		url := strings.TrimSpace(do("signurl", to+"/moved", "+60"))
		if status, text := send(t, s.client(t), "GET", url, nil, ""); status != 200 || text != "plain" {
			t.Errorf("%s: %d %s", url, status, text)
		}
		if err := os.WriteFile(filepath.Join(back, "range"), []byte("pl"), 0o600); err != nil {
			t.Fatal(err)
		}
		do("get", "--continue", to+"/moved", filepath.Join(back, "range"))
		wantFile(t, filepath.Join(back, "range"), files["plain.txt"])
		do("put", "--acl-public", filepath.Join(dir, "empty"), to+"/public")
		contains(t, "info", do("info", to+"/public"), "*anon*: READ")
		for _, key := range []string{"a//b", "a/../b"} { // not names of files
			do("put", filepath.Join(dir, "plain.txt"), to+"/"+key)
			s.wantStored(t, key, files["plain.txt"])
			do("get", to+"/"+key, filepath.Join(t.TempDir(), "key"))
			do("del", to+"/"+key)
		}
		name, content := largeFile(t)
		for _, args := range [][]string{{"put"}, {"put", "--disable-multipart"}} {
			do(append(args, name, to+"/large file")...)
			s.wantStored(t, "large file", content)
			do("get", "--force", to+"/large file", filepath.Join(back, "large file"))
			wantFile(t, filepath.Join(back, "large file"), content)
		}
		do("del", to+"/large file", to+"/public")
		do("del", to+"/moved")
		do("del", "--recursive", "--force", to+"/tree/")
		if left := s.emu.Objects(bucket); len(left) != 2500 {
			t.Errorf("%d objects are left", len(left))
		}
	})
}
