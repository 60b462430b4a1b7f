package signer_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cosproxy/signer"
)

func ExampleSigner_Sign() {
	var s signer.Signer // keep it: it caches

	req, err := http.NewRequest(http.MethodGet,
		"https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/exampleobject?response-content-type=text%2Fplain", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	creds := signer.Credentials{
		SecretID:  "AKIDexample",
		SecretKey: "exampleSecretKey",
		Token:     "exampleToken",
		Expires:   time.Unix(1700001800, 0),
	}
	if err := s.Sign(req, creds, time.Unix(1700000000, 0)); err != nil { // in a program: time.Now()
		fmt.Println(err)
		return
	}
	fmt.Println(strings.ReplaceAll(req.Header.Get("Authorization"), "&", "\n"))
	fmt.Println("x-cos-security-token:", req.Header.Get("X-Cos-Security-Token"))
	// Output:
	// q-sign-algorithm=sha1
	// q-ak=AKIDexample
	// q-sign-time=1699999920;1700001800
	// q-key-time=1699999920;1700001800
	// q-header-list=host;x-cos-security-token
	// q-url-param-list=response-content-type
	// q-signature=b7646623d9f5aa8d89d042669266413d78bffa75
	// x-cos-security-token: exampleToken
}
