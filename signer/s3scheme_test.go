package signer_test

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"cosproxy/signer"
)

func TestSchemeOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		authorization, query string
		want                 signer.Scheme
	}{
		{"", "", signer.NoSignature},
		{"Basic dTpw", "acl&prefix=X-Amz-Signature", signer.NoSignature},
		{"Bearer AWS4-HMAC-SHA256 x", "", signer.NoSignature},
		{"AWS4", "", signer.NoSignature},
		{"AWS", "", signer.NoSignature},
		{"AWSx y", "", signer.NoSignature},
		{"q-sign-algorithm", "", signer.NoSignature},
		{"AWS4-HMAC-SHA256 Credential=a/20300506/r/s3/aws4_request, SignedHeaders=host, Signature=b", "", signer.AWSSignatureV4},
		{"aws4-hmac-sha256 Credential=a", "", signer.AWSSignatureV4},
		{"AWS4-ECDSA-P256-SHA256 Credential=a", "", signer.AWSSignatureV4},
		{"AWS a:b", "", signer.AWSSignatureV2},
		{"q-sign-algorithm=sha1&q-ak=a", "", signer.COSSignature},
		{"Q-Sign-Algorithm=sha1&q-ak=a", "", signer.COSSignature},
		{"q-sign-algorithm=sha1&q-ak=a", "X-Amz-Signature=b", signer.COSSignature},
		{"AWS a:b", "q-sign-algorithm=sha1", signer.AWSSignatureV2},
		{"Basic dTpw", "X-Amz-Signature=b", signer.AWSSignatureV4},
		{"", "x-id=GetObject&X-Amz-Algorithm=AWS4-HMAC-SHA256", signer.AWSSignatureV4},
		{"", "&&X-Amz-Signature", signer.AWSSignatureV4},
		{"", "x-amz-signature=b", signer.AWSSignatureV4},
		{"", "X%2DAmz%2dSignature=b", signer.AWSSignatureV4},
		{"", "X-Amz-Signature%zz=b", signer.NoSignature},
		{"", "X-Amz-Signatures=b&X-Amz-Date=20300506T070809Z", signer.NoSignature},
		{"", "AWSAccessKeyId=a&Signature=b&Expires=1", signer.AWSSignatureV2},
		{"", "Signature=b&Expires=1", signer.NoSignature},
		{"", "q-sign-algorithm=sha1&q-signature=b", signer.COSSignature},
		{"", "q-signature=b&X-Amz-Signature=b", signer.COSSignature},
	} {
		got := signer.SchemeOf([]byte(tt.authorization), tt.query)
		if got != tt.want || got.IsS3() != (tt.want == signer.AWSSignatureV4 || tt.want == signer.AWSSignatureV2) {
			t.Errorf("%q ?%s: scheme %d, S3 %t; want %d", tt.authorization, tt.query, got, got.IsS3(), tt.want)
		}
	}
}

func TestIsAWSSignature(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		field, param bool
	}{
		{"X-Amz-Algorithm", true, true},
		{"X-Amz-Credential", true, true},
		{"X-Amz-Date", true, true},
		{"X-Amz-Expires", true, true},
		{"X-Amz-SignedHeaders", true, true},
		{"X-Amz-Signature", true, true},
		{"X-Amz-Security-Token", true, true},
		{"X-Amz-Content-Sha256", true, true},
		{"Authorization", true, false},
		{"AWSAccessKeyId", false, true},
		{"Signature", false, true},
		{"Expires", false, true},
		{"Date", false, false},
		{"X-Amz-Meta-Date", false, false},
		{"X-Amz-Dat", false, false},
		{"X-Amz-Acl", false, false},
		{"x-id", false, false},
		{"q-signature", false, false},
		{"", false, false},
	} {
		for _, name := range []string{tt.name, strings.ToLower(tt.name), strings.ToUpper(tt.name)} {
			if field, param := signer.IsAWSSignatureField([]byte(name)), signer.IsAWSSignatureParam(name); field != tt.field || param != tt.param {
				t.Errorf("%s: field %t, parameter %t; want %t, %t", name, field, param, tt.field, tt.param)
			}
		}
	}
}

func TestPresignedValidity(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, query, want string }{
		{"the example of AWS", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bb", "2013-05-25T00:00:00Z"},
		{"no query", "", ""},
		{"not presigned", "acl&expires=soon&Expires=x&X-Amz-Expires=%zz", ""},
		{"presigned for COS", "q-sign-algorithm=sha1&q-sign-time=1;2&q-signature=x", ""},
		{"lower case", "x-amz-signature=a&x-amz-date=20300506T070809Z&x-amz-expires=1", "2030-05-06T07:08:10Z"},
		{"escaped", "X-Amz-Signature=a&X-Amz%2DDate=20300506T070809%5a&X-Amz-Expires=%31", "2030-05-06T07:08:10Z"},
		{"7 days", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=604800", "2030-05-13T07:08:09Z"},
		{"8 days", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=691200", "error"},
		{"7 days and a second", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=604801", "error"},
		{"0 s", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=0", "error"},
		{"-1 s", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=-1", "error"},
		{"+1 s", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=%2B1", "error"},
		{"1.5 s", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=1.5", "error"},
		{"too many seconds", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=18446744073709551617", "error"},
		{"no date", "X-Amz-Signature=a&X-Amz-Expires=1", "error"},
		{"no seconds", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z", "error"},
		{"a fraction", "X-Amz-Signature=a&X-Amz-Date=20300506T070809.5Z&X-Amz-Expires=1", "error"},
		{"February 30", "X-Amz-Signature=a&X-Amz-Date=20300230T070809Z&X-Amz-Expires=1", "error"},
		{"a zone", "X-Amz-Signature=a&X-Amz-Date=20300506T070809%2B0800&X-Amz-Expires=1", "error"},
		{"a date of RFC 3339", "X-Amz-Signature=a&X-Amz-Date=2030-05-06T07:08:09Z&X-Amz-Expires=1", "error"},
		{"the year 0", "X-Amz-Signature=a&X-Amz-Date=00001231T235959Z&X-Amz-Expires=1", "error"},
		{"two dates", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=1&x-amz-date=20310506T070809Z", "error"},
		{"an empty and a later date", "X-Amz-Date&X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=1", "error"},
		{"an invalid escape", "X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=1%", "error"},
		{"V2", "AWSAccessKeyId=a&Expires=1175139620&Signature=b", "2007-03-29T03:40:20Z"},
		{"V2, lower case", "awsaccesskeyid=a&expires=0", "1970-01-01T00:00:00Z"},
		{"V2 without Expires", "AWSAccessKeyId=a&Signature=b", "error"},
		{"V2 with a date", "AWSAccessKeyId=a&Expires=20300506T070809Z", "error"},
		{"V2, negative", "AWSAccessKeyId=a&Expires=-1", "error"},
		{"V2, the year 9999", "AWSAccessKeyId=a&Expires=253402300799", "9999-12-31T23:59:59Z"},
		{"V2, the year 10000", "AWSAccessKeyId=a&Expires=253402300800", "error"},
		{"V2, too large", "AWSAccessKeyId=a&Expires=9223372036854775808", "error"},
		{"V2, twice", "AWSAccessKeyId=a&Expires=1&Expires=2", "error"},
		{"both versions", "AWSAccessKeyId=a&Expires=1175139620&X-Amz-Signature=a&X-Amz-Date=20300506T070809Z&X-Amz-Expires=1", "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, got, err := signer.PresignedValidity(tt.query)
			text := ""
			switch {
			case err != nil:
				text = "error"
			case !got.IsZero():
				text = got.Format(time.RFC3339Nano)
			}
			if text != tt.want || err != nil && (!errors.Is(err, signer.ErrPresigned) || !got.IsZero() || !from.IsZero()) {
				t.Errorf("got %v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

var (
	dateForm    = regexp.MustCompile(`^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$`)
	secondsForm = regexp.MustCompile(`^0*[0-9]{1,12}$`)
)

// FuzzPresignedValidity compares the result with code that reads the decoded values in another
// way.
func FuzzPresignedValidity(f *testing.F) {
	f.Add("20130524T000000Z", "86400", "1", true, false)
	f.Add("20130524T000000Z", "604800", "1175139620", false, true)
	f.Add("99991231T235959Z", "604801", "253402300799", true, true)
	f.Add("00010101T240000Z", "0001", "00253402300800", false, false)
	f.Add("20130229T235960Z", "-1", "+1", true, false)
	f.Add("00000000T000000Z", "1", "1", true, false)
	f.Fuzz(func(t *testing.T, date, seconds, unix string, version4, version2 bool) {
		query := url.Values{"X-Amz-Date": {date}, "X-Amz-Expires": {seconds}, "Expires": {unix}, "other": {"x"}}
		if version4 {
			query.Set("X-Amz-Signature", "a")
		}
		if version2 {
			query.Set("AWSAccessKeyId", "a")
		}
		var begin, want time.Time
		ok := !version4 || !version2
		switch {
		case !ok || !version4 && !version2:
		case date == "" || seconds == "" || unix == "":
			ok = false
		case version4:
			begin, want, ok = presignedV4(date, seconds)
		default:
			n, err := strconv.ParseInt(unix, 10, 64)
			if ok = err == nil && secondsForm.MatchString(unix) && n <= 253402300799; ok {
				want = time.Unix(n, 0)
			}
		}
		from, until, err := signer.PresignedValidity(query.Encode())
		if (err == nil) != ok || !from.Equal(begin) || !until.Equal(want) {
			t.Errorf("got %v to %v, %v; want %v to %v, %t", from, until, err, begin, want, ok)
		}
	})
}

func presignedV4(date, seconds string) (from, until time.Time, ok bool) {
	m := dateForm.FindStringSubmatch(date)
	n, err := strconv.Atoi(seconds)
	if m == nil || err != nil || !secondsForm.MatchString(seconds) || n < 1 || n > 604800 {
		return time.Time{}, time.Time{}, false
	}
	var part [7]int
	for i := range part {
		part[i], _ = strconv.Atoi(m[i])
	}
	from = time.Date(part[1], time.Month(part[2]), part[3], part[4], part[5], part[6], 0, time.UTC)
	// time.Date normalizes values such as February 30, so the parts tell whether the date exists.
	if from.Year() < 1970 || from.Year() != part[1] || int(from.Month()) != part[2] || from.Day() != part[3] ||
		from.Hour() != part[4] || from.Minute() != part[5] || from.Second() != part[6] {
		return time.Time{}, time.Time{}, false
	}
	return from, from.Add(time.Duration(n) * time.Second), true
}
