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
	me := owner(x.bucket.name)
	result := aclXML{Owner: me, AccessControlList: []grantXML{
		{Grantee: granteeXML{ID: me.ID, DisplayName: me.DisplayName}, Permission: "FULL_CONTROL"},
	}}
	if !x.onBucket() {
		o := x.bucket.stat(x.key())
		if o == nil {
			return noSuchKey()
		}
		if o.meta.get("x-cos-acl") == "public-read" {
			everyone := granteeXML{URI: "http://cam.qcloud.com/groups/global/AllUsers"}
			result.AccessControlList = append(result.AccessControlList, grantXML{Grantee: everyone, Permission: "READ"})
		}
		result.AccessControlList = append(result.AccessControlList, o.grants...)
	}
	return x.xml(result)
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
		if err := x.receiveXML(&document); err != nil {
			return err
		}
		acl, grants = "private", document.AccessControlList
		mine := func(g grantXML) bool { return g.Grantee.ID == owner(x.bucket.name).ID }
		grants = slices.DeleteFunc(grants, mine)
	case acl != "private" && acl != "public-read" && acl != "default":
		return invalidArgument("x-cos-acl of an object is private, public-read or default")
	}
	err := x.bucket.change(x.key(), func(o *object) error {
		o.meta = append(slices.DeleteFunc(slices.Clone(o.meta), func(f metaField) bool { return f.name == "x-cos-acl" }), metaField{"x-cos-acl", acl})
		o.grants = grants
		return nil
	})
	if err != nil {
		return err
	}
	return x.empty(http.StatusOK)
}
