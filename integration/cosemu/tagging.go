package cosemu

import (
	"encoding/xml"
	"net/http"
	"slices"
)

type taggingXML struct {
	XMLName xml.Name `xml:"Tagging"`
	Tags    []tagXML `xml:"TagSet>Tag"`
}

type tagXML struct{ Key, Value string }

// Maximum number of tags of an object, and maximum lengths in bytes (PUT Object
// tagging).
const (
	maxTags     = 10
	maxTagKey   = 127
	maxTagValue = 255
)

func checkTags(tags []tagXML) error {
	for i, tag := range tags {
		twice := slices.ContainsFunc(tags[:i], func(other tagXML) bool { return other.Key == tag.Key })
		if twice || tag.Key == "" || len(tag.Key) > maxTagKey || len(tag.Value) > maxTagValue {
			return cosErrorf(http.StatusBadRequest, "InvalidTag", "The tag %q is given twice, or it is too long, or has no key.", tag.Key)
		}
	}
	if len(tags) > maxTags {
		return cosErrorf(http.StatusBadRequest, "InvalidTag", "An object has at most %d tags.", maxTags)
	}
	return nil
}

// tagsFrom parses the tags of an upload: x-cos-tagging, in the form of a query.
func tagsFrom(h http.Header) ([]tagXML, error) {
	query, ok := parseQuery(h.Get("x-cos-tagging"))
	if !ok {
		return nil, cosErrorf(http.StatusBadRequest, "InvalidTag", "x-cos-tagging is not <key>=<value>&<key>=<value>")
	}
	var tags []tagXML
	for _, p := range query {
		tags = append(tags, tagXML{p.name, p.value})
	}
	return tags, checkTags(tags)
}

func (x *exchange) putTagging() error {
	var request taggingXML
	if err := x.readXML(&request); err != nil {
		return err
	}
	if err := checkTags(request.Tags); err != nil {
		return err
	}
	return x.setTags(request.Tags)
}

func (x *exchange) deleteTagging() error { return x.setTags(nil) }

func (x *exchange) setTags(tags []tagXML) error {
	err := x.bucket.change(x.key(), func(o *object) error {
		o.tags = tags
		return nil
	})
	if err != nil {
		return err
	}
	return x.writeEmpty(http.StatusNoContent)
}

func (x *exchange) getTagging() error {
	o := x.bucket.stat(x.key())
	if o == nil {
		return noSuchKey()
	}
	return x.writeXML(taggingXML{Tags: o.tags})
}
