package cosemu

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
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
	XSI         string `xml:"xmlns:xsi,attr,omitempty"`
	Type        string `xml:"xsi:type,attr,omitempty"`
	ID          string `xml:",omitempty"`
	DisplayName string `xml:",omitempty"`
	URI         string `xml:",omitempty"`
}

// getACL returns the ACL of the bucket, or that of an object: the x-cos-acl that it
// was stored with, or the ACL that was set later. Anonymous requests are rejected in
// any case.
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
	if x.dialect == DialectS3 {
		for i, g := range result.AccessControlList {
			result.AccessControlList[i].Grantee = g.Grantee.inS3()
		}
	}
	return x.writeXML(result)
}

// inS3 returns g with the attributes and the group names of S3.
func (g granteeXML) inS3() granteeXML {
	g.XSI, g.Type = "http://www.w3.org/2001/XMLSchema-instance", "CanonicalUser"
	if g.URI != "" {
		g.Type = "Group"
		g.URI = strings.Replace(g.URI, "http://cam.qcloud.com/groups/global/", "http://acs.amazonaws.com/groups/global/", 1)
	}
	return g
}

// putACL sets the ACL of an object from x-cos-acl or from a body, but not from both.
// It does not implement headers with single grants.
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
