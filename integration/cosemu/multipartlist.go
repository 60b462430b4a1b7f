package cosemu

import (
	"cmp"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
)

type partListXML struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	EncodingType         string   `xml:"EncodingType,omitempty"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Owner                ownerXML
	Initiator            ownerXML
	PartNumberMarker     int
	NextPartNumberMarker int `xml:",omitempty"`
	MaxParts             int
	IsTruncated          bool
	StorageClass         string
	Part                 []partXML
}

type partXML struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

func (x *exchange) listParts() error {
	l, err := x.parseListing("part-number-marker", "max-parts")
	if err != nil {
		return err
	}
	marker := 0
	if l.marker != "" {
		if marker, err = strconv.Atoi(l.marker); err != nil {
			return invalidArgument("part-number-marker must be a number")
		}
	}
	x.bucket.mu.RLock()
	defer x.bucket.mu.RUnlock()
	u, err := x.upload()
	if err != nil {
		return err
	}
	own := owner(x.bucket.name)
	result := partListXML{
		EncodingType: l.encoding, Bucket: x.bucket.name, Key: l.encode(u.key), UploadID: u.id,
		Owner: own, Initiator: own, PartNumberMarker: marker, MaxParts: l.max, StorageClass: u.meta.storageClass(),
	}
	for _, p := range u.after(marker) {
		if len(result.Part) == l.max {
			result.IsTruncated = l.max > 0
			break
		}
		result.NextPartNumberMarker = p.number
		result.Part = append(result.Part, partXML{p.number, xmlTime(p.modified), p.etag, p.body.size})
	}
	if !result.IsTruncated {
		result.NextPartNumberMarker = 0
	}
	return x.writeXML(result)
}

// after returns the parts with numbers above marker, by number.
func (u *upload) after(marker int) []*part {
	var parts []*part
	for number, p := range u.parts {
		if number > marker {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b *part) int { return cmp.Compare(a.number, b.number) })
	return parts
}

type uploadListXML struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Bucket             string
	EncodingType       string `xml:"EncodingType,omitempty"`
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Prefix             string
	Delimiter          string `xml:",omitempty"`
	Upload             []uploadXML
	// Bucket.ListMultipartUploads of the Go SDK expects this spelling from COS.
	CommonPrefixes []prefixXML `xml:"CommonPrefixs"`
	// S3Prefixes are the common prefixes in S3's dialect.
	S3Prefixes []prefixXML `xml:"CommonPrefixes"`
}

type uploadXML struct {
	Key          string
	UploadID     string `xml:"UploadId"`
	Initiator    ownerXML
	Owner        ownerXML
	StorageClass string
	Initiated    string
}

func (x *exchange) listMultipartUploads() error {
	l, err := x.parseListing("key-marker", "max-uploads")
	if err != nil {
		return err
	}
	idMarker := x.query.get("upload-id-marker")
	result := uploadListXML{
		Bucket: x.bucket.name, EncodingType: l.encoding, KeyMarker: l.encode(l.marker), UploadIDMarker: idMarker,
		MaxUploads: l.max, Prefix: l.encode(l.prefix), Delimiter: l.encode(l.delimiter),
	}
	own := owner(x.bucket.name)
	lastKey, lastID := "", ""
	for _, u := range x.bucket.uploadsAfter(l.prefix, l.marker, idMarker) {
		group := l.commonPrefix(u.key)
		if group != "" && (group == lastKey || group == l.marker) {
			continue
		}
		if len(result.Upload)+len(result.CommonPrefixes) == l.max {
			result.IsTruncated = l.max > 0
			break
		}
		if group != "" {
			lastKey, lastID = group, ""
			result.CommonPrefixes = append(result.CommonPrefixes, prefixXML{l.encode(group)})
			continue
		}
		lastKey, lastID = u.key, u.id
		result.Upload = append(result.Upload, uploadXML{
			Key: l.encode(u.key), UploadID: u.id, Initiator: own, Owner: own,
			StorageClass: u.meta.storageClass(), Initiated: xmlTime(u.initiated),
		})
	}
	if result.IsTruncated {
		result.NextKeyMarker, result.NextUploadIDMarker = l.encode(lastKey), lastID
	}
	if x.dialect == DialectS3 {
		result.S3Prefixes, result.CommonPrefixes = result.CommonPrefixes, nil
	}
	return x.writeXML(result)
}

// uploadsAfter returns the uploads with prefix after the markers, by key and ID.
// Without an ID marker it skips all uploads of the key marker itself.
func (b *bucket) uploadsAfter(prefix, keyMarker, idMarker string) []*upload {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var uploads []*upload
	for _, u := range b.uploads {
		after := u.key > keyMarker || u.key == keyMarker && idMarker != "" && u.id > idMarker
		if strings.HasPrefix(u.key, prefix) && after {
			uploads = append(uploads, u)
		}
	}
	slices.SortFunc(uploads, func(a, b *upload) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
	})
	return uploads
}
