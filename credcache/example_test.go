package credcache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"cosproxy/credcache"
	"cosproxy/signer"
)

func Example() {
	source := credcache.NewStatic(signer.Credentials{SecretID: "AKIDEXAMPLE", SecretKey: "example", Token: "example"})
	cache := credcache.New(source, credcache.Options{})
	defer cache.Close()

	uploads := cache.For(credcache.Scope{
		Bucket:        "examplebucket-1250000000",
		Region:        "ap-beijing",
		AllowPrefixes: []string{"uploads/*"},
		AllowActions:  []string{"upload"},
	})
	creds, err := uploads.Credentials(context.Background())
	fmt.Println(creds, err)
	// Output: credentials AKIDEXAMPLE (no expiry) <nil>
}

func ExampleScope_Policy() {
	policy, err := credcache.Scope{
		Bucket:        "examplebucket-1250000000",
		Region:        "ap-beijing",
		AllowPrefixes: []string{"reports/*"},
		AllowActions:  []string{"list"},
	}.Policy()
	if err != nil {
		fmt.Println(err)
		return
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	_ = out.Encode(policy.Statement[0])
	// Output:
	// {
	//  "action": [
	//   "name/cos:GetBucket"
	//  ],
	//  "effect": "allow",
	//  "resource": [
	//   "qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/",
	//   "qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/*"
	//  ],
	//  "condition": {
	//   "string_like": {
	//    "cos:prefix": [
	//     "reports%2F*",
	//     "reports/*"
	//    ]
	//   }
	//  }
	// }
}
