package signer

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// ErrPresigned is the error of PresignedValidity. Reject the request.
var ErrPresigned = errors.New("signer: the presigned URL is malformed")

const (
	// maxPresigned is the longest validity of a presigned URL of Version 4, in seconds: 7 days
	// (X-Amz-Expires in "Authenticating Requests: Using Query Parameters").
	maxPresigned = 7 * 24 * 3600
	// maxUnix is the last second of the year 9999.
	maxUnix = 253402300799
)

// presigned are the parameters that limit a presigned URL. An empty value is a missing one.
type presigned struct {
	v2, v4                    bool
	date, seconds, unixExpiry string
	unclear                   string // name of a parameter without a clear value
}

// PresignedValidity returns the time in which a presigned URL of S3 is valid: with Signature
// Version 4 from X-Amz-Date, for X-Amz-Expires seconds; with Version 2 from the zero time until
// Expires. until is the first time at which it is invalid. Both are the zero time if the query
// has neither signature. The error is ErrPresigned if the times are missing, repeated or
// malformed. The signature is not verified.
func PresignedValidity(rawQuery string) (from, until time.Time, err error) {
	p := readPresigned(rawQuery)
	switch {
	case !p.v2 && !p.v4:
		return time.Time{}, time.Time{}, nil
	case p.unclear != "":
		return time.Time{}, time.Time{}, fmt.Errorf("%w: %s is empty, repeated or has an invalid escape; send it once", ErrPresigned, p.unclear)
	case p.v2 && p.v4:
		return time.Time{}, time.Time{}, fmt.Errorf("%w: it has parameters of two signature versions; send those of one", ErrPresigned)
	case p.v4:
		return p.validityV4()
	}
	until, err = p.expiryV2()
	return time.Time{}, until, err
}

func readPresigned(rawQuery string) presigned {
	var p presigned
	for rawQuery != "" {
		var name, value string
		name, value, rawQuery = cutParam(rawQuery)
		var field *string
		switch {
		case equalFold(name, "x-amz-signature"), equalFold(name, "x-amz-algorithm"):
			p.v4 = true
			continue
		case equalFold(name, "awsaccesskeyid"):
			p.v2 = true
			continue
		case equalFold(name, "x-amz-date"):
			field = &p.date
		case equalFold(name, "x-amz-expires"):
			field = &p.seconds
		case equalFold(name, "expires"):
			field = &p.unixExpiry
		default:
			continue
		}
		decoded, err := url.QueryUnescape(value)
		if err != nil || decoded == "" || *field != "" {
			p.unclear = name
		}
		*field = decoded
	}
	return p
}

func (p presigned) validityV4() (from, until time.Time, err error) {
	from, err = time.Parse(amzDateFormat, p.date)
	if err != nil || len(p.date) != len(amzDateFormat) || from.Unix() < 0 { // Parse accepts fractions of a second
		return time.Time{}, time.Time{}, fmt.Errorf("%w: X-Amz-Date is %.32q; send the time of the signature as YYYYMMDDThhmmssZ", ErrPresigned, p.date)
	}
	seconds, err := strconv.ParseUint(p.seconds, 10, 32)
	if err != nil || seconds == 0 || seconds > maxPresigned {
		return time.Time{}, time.Time{}, fmt.Errorf("%w: X-Amz-Expires is %.32q; send 1 to %d seconds", ErrPresigned, p.seconds, maxPresigned)
	}
	return from, from.Add(time.Duration(seconds) * time.Second), nil
}

func (p presigned) expiryV2() (time.Time, error) {
	seconds, err := strconv.ParseUint(p.unixExpiry, 10, 63)
	if err != nil || seconds > maxUnix {
		return time.Time{}, fmt.Errorf("%w: Expires is %.32q; send a time in Unix seconds", ErrPresigned, p.unixExpiry)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
