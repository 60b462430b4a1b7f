package integration_test

import "fmt"

// sized is a request with a body of known length; the lines of head end with CRLF.
func sized(head, body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

const (
	putIn   = "PUT /in/a HTTP/1.1\r\nHost: localhost\r\n"
	getOld  = "GET /in/old HTTP/1.1\r\nHost: localhost\r\n\r\n"
	inner   = "PUT /in/inner HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
	chunked = "Transfer-Encoding: chunked\r\n\r\n"
	formOf  = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nin/${filename}\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ncontent\r\n--b--\r\n"
)

// clientStreams are valid and invalid bytes of clients. They vary the end of a
// request, its target and its signature.
var clientStreams = []string{
	sized(putIn, "hello") + getOld + "DELETE /in/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
	sized(putIn+"Expect: 100-continue\r\n", "hello"),
	putIn + chunked + "5;ext=\"a;b\"\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n" + getOld,
	putIn + chunked + "5\nhello\n0\n\n" + getOld,
	putIn + chunked + "5\r\nhel",
	putIn + "Content-Length: 9\r\n\r\nhel",
	// Requests with two ends.
	putIn + "Content-Length: 4\r\n" + chunked + "5\r\nhello\r\n0\r\n\r\n" + inner,
	putIn + chunked[:len(chunked)-2] + sized("", "0\r\n\r\n"+inner),
	sized(putIn+"Transfer-Encoding : chunked\r\n", "0\r\n\r\n"+inner),
	sized(putIn+"Transfer-Encoding: identity\r\n", inner),
	putIn + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + inner,
	putIn + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + inner,
	putIn + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + inner,
	putIn + "X: y\nTransfer-Encoding: chunked\n\n0\n\n" + inner,
	"PUT /in/a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n" + chunked + "0\r\n\r\n" + inner,
	putIn + "Content-Length: 0\r\nContent-Length: 63\r\n\r\n" + inner,
	putIn + "Content-Length: 63\r\nContent-Length: 63\r\n\r\n" + inner,
	putIn + "Content-Length: +63\r\n\r\n" + inner,
	putIn + "Content-Length:\r\n 63\r\n\r\n" + inner,
	putIn + "X: y\r\n Content-Length: 63\r\n\r\n" + inner,
	sized("GET /in/old HTTP/1.1\r\nHost: localhost\r\n", inner) + getOld,
	sized("POST /in/a?append&position=0 HTTP/1.1\r\nHost: localhost\r\n", "hello") + "\r\n" + getOld,
	putIn + "Connection: close\r\n" + "Content-Length: 0\r\n\r\n" + inner,
	// Other hosts and keys.
	sized("PUT http://"+bucketHost+"/in/a HTTP/1.1\r\nHost: x\r\n", "hello"),
	sized("PUT http://evil.example/in/a HTTP/1.1\r\nHost: localhost\r\n", "hello"),
	sized("PUT /up/a HTTP/1.1\r\nHost: files.example\r\n", "hello") + getOld,
	sized("PUT /"+bucket+"/in/a HTTP/1.1\r\nHost: cos."+region+".myqcloud.com\r\n", "hello"),
	"CONNECT " + bucketHost + ":443 HTTP/1.1\r\nHost: " + bucketHost + ":443\r\n\r\n" + getOld,
	"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n" + getOld,
	"GET /in/../secret/old HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /in%2f%2e%2e%2fsecret%2fold HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"DELETE /up/..%5c../secret/old HTTP/1.1\r\nHost: localhost\r\n\r\n", sized("PUT /in//../../a HTTP/1.1\r\nHost: localhost\r\n", "x"),
	"GET /secret/old HTTP/1.1\r\nHost: localhost\r\n\r\nGET /a HTTP/1.1\r\nHost: files.example\r\n\r\nHEAD /input HTTP/1.1\r\nHost: " + bucketHost + "\r\n\r\n",
	sized("PUT /up/a?uploads HTTP/1.1\r\nHost: localhost\r\n", "x"),
	// Headers and bodies with a meaning for COS.
	putIn + "x-cos-copy-source: " + bucketHost + "/in/old\r\nContent-Length: 0\r\n\r\n",
	putIn + "x-cos-copy-source: " + bucketHost + "/secret/old\r\nContent-Length: 0\r\n\r\n",
	putIn + "x-cos-copy-source: localhost/in/%2e%2e/secret/old\r\nContent-Length: 0\r\n\r\n",
	sized("POST /?delete HTTP/1.1\r\nHost: localhost\r\n", "<Delete><Object><Key>in/old</Key></Object></Delete>"),
	sized("POST /?delete HTTP/1.1\r\nHost: localhost\r\n", "<Delete><Object><Key>in/old</Key></Object><Object><Key>secret/old</Key></Object></Delete>"),
	sized("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n", formOf) + getOld,
	"GET /?prefix=in/ HTTP/1.1\r\nHost: localhost\r\n\r\n" + "GET /?prefix= HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"HEAD /in/old HTTP/1.1\r\nHost: localhost\r\n\r\n" + "HEAD /in/none?partNumber=x HTTP/1.1\r\nHost: localhost\r\n\r\n" + getOld,
	// Signatures of the client.
	sized(putIn+"Authorization: q-sign-algorithm=sha1&q-ak=AKIDeverything\r\nx-cos-security-token: token-of-everything\r\n", "hello"),
	sized(putIn+"Connection: authorization, x-cos-security-token, host\r\n", "hello"),
	"GET /in/old?q-sign-algorithm=sha1&q-ak=AKIDeverything&q-signature=0&x-cos-security-token=t HTTP/1.1\r\nHost: localhost\r\n\r\n",
	// A future HTTP version, which is read as the last known one (RFC 9110, 2.5).
	"PUT /in/ HTTP/1.2\nHost:\n\n",
}
