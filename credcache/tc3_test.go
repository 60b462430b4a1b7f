package credcache

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
	"time"

	"cosproxy/signer"
)

// TestTC3Authorization_CapturedRequest compares the signature with a call that the general SDK
// sent with temporary credentials.
func TestTC3Authorization_CapturedRequest(t *testing.T) {
	data, err := os.ReadFile("testdata/sts-tc3.json")
	if err != nil {
		t.Fatal(err)
	}
	var vector map[string]string
	if err := json.Unmarshal(data, &vector); err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseInt(vector["timestamp"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	creds := signer.Credentials{SecretID: vector["secret_id"], SecretKey: vector["secret_key"], Token: vector["token"]}
	zone := time.FixedZone("", 14*60*60) // the date of the signature is in UTC
	if got := tc3Authorization(creds, vector["host"], []byte(vector["body"]), time.Unix(seconds, 0).In(zone)); got != vector["authorization"] {
		t.Errorf("got  %s\nwant %s", got, vector["authorization"])
	}
}
