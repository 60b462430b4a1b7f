package cosemu

import (
	"encoding/xml"
	"strings"
)

type versionsXML struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	EncodingType        string   `xml:",omitempty"`
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	MaxKeys             int
	Delimiter           string `xml:",omitempty"`
	IsTruncated         bool
	NextKeyMarker       string `xml:",omitempty"`
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	Version             []versionXML
	CommonPrefixes      []prefixXML
}

type versionXML struct {
	VersionID string `xml:"VersionId"`
	IsLatest  bool
	contentXML
}

// versioningXML is empty in a bucket that never had versioning.
type versioningXML struct {
	XMLName xml.Name `xml:"VersioningConfiguration"`
}

func (x *exchange) getVersioning() error { return x.writeXML(versioningXML{}) }

// listVersions lists every object as its only version. The emulator keeps no old
// versions, and in a bucket without versioning the version is "null".
func (x *exchange) listVersions() error {
	l, err := x.parseListing("key-marker", "max-keys")
	if err != nil {
		return err
	}
	result := versionsXML{
		EncodingType: l.encoding, Name: x.bucket.name, Prefix: l.encode(l.prefix), KeyMarker: l.encode(l.marker),
		VersionIDMarker: x.query.get("version-id-marker"), MaxKeys: l.max, Delimiter: l.encode(l.delimiter),
	}
	last := ""
	for _, o := range x.bucket.sorted(func(key string) bool { return strings.HasPrefix(key, l.prefix) && key > l.marker }) {
		group := l.commonPrefix(o.key)
		if group != "" && (group == last || group == l.marker) {
			continue
		}
		if len(result.Version)+len(result.CommonPrefixes) == l.max {
			result.IsTruncated = l.max > 0
			break
		}
		if last = group; group != "" {
			result.CommonPrefixes = append(result.CommonPrefixes, prefixXML{l.encode(group)})
			continue
		}
		last = o.key
		result.Version = append(result.Version, versionXML{"null", true, x.content(l, o)})
	}
	if result.IsTruncated {
		result.NextKeyMarker, result.NextVersionIDMarker = l.encode(last), "null"
	}
	return x.writeXML(result)
}
