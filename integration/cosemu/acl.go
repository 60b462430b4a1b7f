package cosemu

import (
	"encoding/xml"
	"net/http"
	"slices"
)

type aclXML struct {
	XMLName           xml.Name `xml:"AccessControlPolicy"`
	Owner             ownerXML
	AccessControlList []grantXML `xml:"AccessControlList>Grant"`
}

type grantXML struct {
	Grantee    granteeXML
	Permission string
}

type granteeXML struct {
	ID          string `xml:",omitempty"`
	DisplayName string `xml:",omitempty"`
	URI         string `xml:",omitempty"`
}

// getACL answers for a bucket, and for an object with the x-cos-acl it was
// stored with or what has been put since. Anonymous requests are refused all the same.
func (x *exchange) getACL() error {
	own := owner(x.bucket.name)
	result := aclXML{Owner: own, AccessControlList: []grantXML{
		{Grantee: granteeXML{ID: own.ID, DisplayName: own.DisplayName}, Permission: "FULL_CONTROL"},
	}}
	if !x.onBucket() {
		o := x.bucket.stat(x.key())
		if o == nil {
			return noSuchKey()
		}
		result.AccessControlList = slices.Concat(result.AccessControlList, o.meta.grants(), o.grants)
	}
	return x.writeXML(result)
}

// putACL takes the ACL of an object from x-cos-acl or from a body, not from
// both. Headers with single grants are not understood.
func (x *exchange) putACL() error {
	acl := x.r.Header.Get("x-cos-acl")
	for _, name := range []string{"Read", "Write", "Read-Acp", "Write-Acp", "Full-Control"} {
		if x.r.Header["X-Cos-Grant-"+name] != nil {
			return notImplemented("x-cos-grant-*")
		}
	}
	var grants []grantXML
	switch {
	case acl != "" && x.r.ContentLength > 0:
		return invalidArgument("an ACL is in x-cos-acl or in the body, not in both")
	case acl == "":
		var document aclXML
		if err := x.readXML(&document); err != nil {
			return err
		}
		acl, grants = "private", document.AccessControlList
		mine := func(g grantXML) bool { return g.Grantee.ID == owner(x.bucket.name).ID }
		grants = slices.DeleteFunc(grants, mine)
	}
	err := x.bucket.change(x.key(), func(o *object) error {
		o.meta = append(o.meta.withACL(nil), metaField{"x-cos-acl", acl})
		o.grants = grants
		return nil
	})
	if err != nil {
		return err
	}
	return x.writeEmpty(http.StatusOK)
}
