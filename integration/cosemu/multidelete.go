package cosemu

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
)

const (
	// maxDeleted is the maximum number of keys in a request (DELETE Multiple Objects).
	maxDeleted = 1000
	// maxXMLBody is enough for the longest valid body: a list of 10,000 parts.
	maxXMLBody = 4 << 20
)

type deleteXML struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []struct {
		Key       string
		VersionID string `xml:"VersionId"`
	}
}

type deleteResultXML struct {
	XMLName xml.Name `xml:"DeleteResult"`
	Deleted []deletedXML
	Error   []deleteErrorXML
}

type deletedXML struct{ Key string }

type deleteErrorXML struct{ Key, Code, Message string }

// deleteMultipleObjects checks the policy for every key. The response lists the keys
// that it may not delete together with the deleted ones.
func (x *exchange) deleteMultipleObjects() error {
	if x.r.Header.Get("Content-MD5") == "" {
		return cosErrorf(http.StatusBadRequest, "InvalidRequest", "Missing required header for this request: Content-MD5")
	}
	var request deleteXML
	if err := x.readXML(&request); err != nil {
		return err
	}
	if len(request.Object) == 0 || len(request.Object) > maxDeleted {
		return malformedXML()
	}
	for _, o := range request.Object {
		if o.VersionID != "" {
			return notImplemented("VersionId")
		}
	}
	var result deleteResultXML
	for _, o := range request.Object {
		var denied *cosError
		if errors.As(x.requireAllowed("DeleteObject", x.bucket.name, o.Key), &denied) {
			result.Error = append(result.Error, deleteErrorXML{o.Key, denied.code, denied.message})
			continue
		}
		x.bucket.remove(o.Key)
		if !request.Quiet {
			result.Deleted = append(result.Deleted, deletedXML{o.Key})
		}
	}
	return x.writeXML(result)
}

// readXML parses the body of the request into v, after it has checked Content-MD5.
func (x *exchange) readXML(v any) error {
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxXMLBody)
	body, err := x.readBody()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return malformedXML()
	case err != nil:
		return err
	}
	defer body.remove()
	reader, err := body.open()
	if err != nil {
		return err
	}
	defer reader.close()
	text, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	if xml.Unmarshal(text, v) != nil {
		return malformedXML()
	}
	return nil
}

func malformedXML() *cosError {
	return cosErrorf(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}
