package cosemu

import (
	"encoding/base64"
	"encoding/xml"
)

type bucketListV2XML struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string   `xml:",omitempty"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	Contents              []contentXML
	CommonPrefixes        []prefixXML
}

// listObjectsV2 is S3's ListObjectsV2, which COS has for requests with an AWS signature
// alone. The continuation token is the last key or common prefix in base64; clients
// must not rely on it.
func (x *exchange) listObjectsV2() error {
	if x.query.get("list-type") != "2" {
		return invalidArgument("Invalid List Type specified in Request")
	}
	l, err := x.parseListing("start-after", "max-keys")
	if err != nil {
		return err
	}
	result := bucketListV2XML{
		EncodingType: l.encoding, Name: x.bucket.name, Prefix: l.encode(l.prefix), Delimiter: l.encode(l.delimiter),
		MaxKeys: l.max, StartAfter: l.encode(l.marker), ContinuationToken: x.query.get("continuation-token"),
	}
	if x.query.has("continuation-token") {
		last, err := base64.URLEncoding.DecodeString(result.ContinuationToken)
		if err != nil || len(last) == 0 {
			return invalidArgument("The continuation token provided is incorrect")
		}
		l.marker = string(last)
	}
	p := x.page(l)
	result.Contents, result.CommonPrefixes, result.IsTruncated = p.contents, p.prefixes, p.truncated
	result.KeyCount = len(p.contents) + len(p.prefixes)
	if p.truncated {
		result.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(p.last))
	}
	if x.query.get("fetch-owner") != "true" {
		for i := range result.Contents {
			result.Contents[i].Owner = nil
		}
	}
	x.setHeader("x-cos-bucket-region", x.s.options.Region)
	return x.writeXML(result)
}
