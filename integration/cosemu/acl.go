package cosemu

import "encoding/xml"

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
// stored with. Anonymous requests are refused all the same.
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
	}
	return x.xml(result)
}
