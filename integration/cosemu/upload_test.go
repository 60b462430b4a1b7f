package cosemu_test

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cosproxy/integration/cosemu"
)

func TestUpload_Errors(t *testing.T) {
	srv := start(t, cosemu.Options{})
	sum := md5.Sum([]byte("other"))
	creds := longLived(srv)
	client := httpClient(t, srv)
	tests := []struct {
		name   string
		field  string
		status int
		code   string
	}{
		{"bad digest", "Content-MD5: " + base64.StdEncoding.EncodeToString(sum[:]), 400, "BadDigest"},
		{"no digest", "Content-MD5: abc", 400, "InvalidDigest"},
	}
	for _, tt := range tests {
		a := do(t, client, request(t, creds, http.MethodPut, "/o", strings.NewReader("body"), tt.field))
		if a.status != tt.status || a.code() != tt.code {
			t.Errorf("%s: %d %s", tt.name, a.status, a.code())
		}
	}
	for _, target := range []string{"/o?uploadId=1&partNumber=1", "/o"} {
		auth := request(t, creds, http.MethodPut, target, nil).Header.Get("Authorization")
		text := "PUT " + target + " HTTP/1.1\r\nHost: " + host1 + "\r\nAuthorization: " + auth + "\r\n"
		if strings.Contains(target, "?") {
			chunked := raw(t, srv.COSAddr(), text+"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
			if chunked.status != 411 || chunked.code() != "MissingContentLength" {
				t.Errorf("chunked %s: %d\n%s", target, chunked.status, chunked.body)
			}
		}
		if a := raw(t, srv.COSAddr(), text+"\r\n"); a.status != 411 || a.code() != "MissingContentLength" {
			t.Errorf("no length %s: %d\n%s", target, a.status, a.body)
		}
	}
	if _, ok := srv.Object(bucket1, "o"); ok {
		t.Error("a failed upload has made an object")
	}
}

// TestUpload_Truncated sends fewer bytes than announced and closes its half of the
// connection, with bodies in memory and in files.
func TestUpload_Truncated(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	srv := start(t, cosemu.Options{})
	for _, sent := range []int{0, 10, 300 << 10} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, chunked %t", sent, chunked), func(t *testing.T) {
				auth := request(t, longLived(srv), http.MethodPut, "/o", nil).Header.Get("Authorization")
				conn, err := net.Dial("tcp", srv.COSAddr())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				framing, open := fmt.Sprintf("Content-Length: %d", sent+1), ""
				if chunked {
					framing, open = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n", sent+1)
				}
				fmt.Fprintf(conn, "PUT /o HTTP/1.1\r\nHost: %s\r\n%s\r\nAuthorization: %s\r\n\r\n%s%s",
					host1, framing, auth, open, pattern(sent))
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				reply, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(reply), "<Code>IncompleteBody</Code>") {
					t.Errorf("response %q", reply)
				}
				if _, ok := srv.Object(bucket1, "o"); ok {
					t.Error("there is an object")
				}
			})
		}
	}
	if left := bodyFiles(t); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
}

// TestUpload_ExpectContinue checks that a client can wait with a large body until COS
// has judged the header.
func TestUpload_ExpectContinue(t *testing.T) {
	srv := start(t, cosemu.Options{})
	for _, tt := range []struct{ secret, want string }{
		{srv.SecretKey(), "HTTP/1.1 100 Continue"}, {"wrong", "HTTP/1.1 403 Forbidden"},
	} {
		auth := request(t, clientCredentials{id: srv.SecretID(), secretKey: tt.secret}, http.MethodPut, "/o", nil).Header.Get("Authorization")
		conn, err := net.Dial("tcp", srv.COSAddr())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT /o HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\nExpect: 100-continue\r\nAuthorization: %s\r\n\r\n", host1, auth)
		line, err := bufio.NewReader(conn).ReadString('\r')
		if err != nil || strings.TrimSpace(line) != tt.want {
			t.Errorf("got %q, %v, want %q", line, err, tt.want)
		}
		conn.Close()
	}
}

// bodyFiles returns the body files of all emulators with this temporary directory. Set
// TMPDIR first.
func bodyFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "cosemu-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestUpload_RemovesFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	srv, err := cosemu.Start(cosemu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := sdk(t, srv, bucket1, longLived(srv))
	large := string(pattern(1 << 20))
	put(t, c, "o", large)
	o, _ := srv.Object(bucket1, "o")
	reader, err := o.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	put(t, c, "o", large)
	if files := bodyFiles(t); len(files) != 1 {
		t.Errorf("after an overwrite: %v", files)
	}
	if old, err := io.ReadAll(reader); err != nil || string(old) != large {
		t.Errorf("a reader of the old body got %d bytes, %v", len(old), err)
	}
	if _, err := c.Object.Delete(t.Context(), "o"); err != nil {
		t.Fatal(err)
	}
	if files := bodyFiles(t); len(files) != 0 {
		t.Errorf("after the delete: %v", files)
	}
	put(t, c, "o", large)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "cosemu-*")); len(dirs) != 0 {
		t.Errorf("after Close: %v", dirs)
	}
}
