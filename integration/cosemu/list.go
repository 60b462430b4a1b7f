package cosemu

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxListed is the maximum and default number of entries of a page.
const maxListed = 1000

// timeFormat is the format of times in COS's XML.
const timeFormat = "2006-01-02T15:04:05.000Z"

func xmlTime(t time.Time) string { return t.UTC().Format(timeFormat) }

// listing holds the parameters that GET Bucket and the list of uploads share.
type listing struct {
	prefix, delimiter, marker string
	max                       int
	encoding                  string
}

func (x *exchange) parseListing(markerName, maxName string) (listing, error) {
	l := listing{
		prefix: x.query.get("prefix"), delimiter: x.query.get("delimiter"),
		marker: x.query.get(markerName), max: maxListed, encoding: x.query.get("encoding-type"),
	}
	if l.encoding != "" && l.encoding != "url" {
		return l, invalidArgument("Invalid Encoding Method specified in Request: %q", l.encoding)
	}
	if text := x.query.get(maxName); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return l, invalidArgument("%s must be a number from 0 to %d", maxName, maxListed)
		}
		l.max = min(n, maxListed)
	}
	return l, nil
}

// encode writes a key or prefix in the encoding that the client asked for.
func (l listing) encode(s string) string {
	if l.encoding == "url" {
		return escape(s)
	}
	return s
}

// commonPrefix returns the common prefix under which key is listed, or "" if the list
// contains the key itself.
func (l listing) commonPrefix(key string) string {
	if l.delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(l.prefix)+i+len(l.delimiter)]
}

// ownerXML is the account. Its ID is the APPID of the bucket.
type ownerXML struct {
	ID, DisplayName string
}

func owner(bucket string) ownerXML {
	appID := bucket[strings.LastIndexByte(bucket, '-')+1:]
	return ownerXML{ID: appID, DisplayName: appID}
}

type prefixXML struct{ Prefix string }

type bucketListXML struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	EncodingType   string   `xml:",omitempty"`
	Name           string
	Prefix         string
	Marker         string
	MaxKeys        int
	Delimiter      string `xml:",omitempty"`
	IsTruncated    bool
	NextMarker     string `xml:",omitempty"`
	Contents       []contentXML
	CommonPrefixes []prefixXML
}

type contentXML struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	Owner        *ownerXML `xml:",omitempty"`
	StorageClass string
}

func (x *exchange) getBucket() error {
	if x.dialect == DialectS3 && x.query.has("list-type") {
		return x.listObjectsV2()
	}
	l, err := x.parseListing("marker", "max-keys")
	if err != nil {
		return err
	}
	p := x.page(l)
	result := bucketListXML{
		EncodingType: l.encoding, Name: x.bucket.name, Prefix: l.encode(l.prefix), Marker: l.encode(l.marker),
		MaxKeys: l.max, Delimiter: l.encode(l.delimiter),
		IsTruncated: p.truncated, Contents: p.contents, CommonPrefixes: p.prefixes,
	}
	if p.truncated {
		result.NextMarker = l.encode(p.last)
	}
	x.setHeader("x-cos-bucket-region", x.s.options.Region)
	return x.writeXML(result)
}

// page is one page of a listing of objects.
type page struct {
	contents  []contentXML
	prefixes  []prefixXML
	truncated bool
	last      string // the last key or common prefix
}

func (x *exchange) page(l listing) page {
	var p page
	for _, o := range x.bucket.sorted(func(key string) bool { return strings.HasPrefix(key, l.prefix) && key > l.marker }) {
		group := l.commonPrefix(o.key)
		if group != "" && (group == p.last || group == l.marker) {
			continue
		}
		if len(p.contents)+len(p.prefixes) == l.max {
			p.truncated = l.max > 0
			break
		}
		if group != "" {
			p.last = group
			p.prefixes = append(p.prefixes, prefixXML{l.encode(group)})
			continue
		}
		p.last = o.key
		p.contents = append(p.contents, x.content(l, o))
	}
	return p
}

func (x *exchange) content(l listing, o *object) contentXML {
	own := owner(x.bucket.name)
	return contentXML{
		Key: l.encode(o.key), LastModified: xmlTime(o.modified), ETag: o.etag, Size: o.body.size,
		Owner: &own, StorageClass: o.meta.storageClass(),
	}
}

type locationXML struct {
	XMLName xml.Name `xml:"LocationConstraint"`
	Region  string   `xml:",chardata"`
}

func (x *exchange) getLocation() error { return x.writeXML(locationXML{Region: x.s.options.Region}) }

func (x *exchange) headBucket() error {
	x.setHeader("x-cos-bucket-region", x.s.options.Region)
	return x.writeEmpty(http.StatusOK)
}
