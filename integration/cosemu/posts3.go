package cosemu

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"
	"time"
)

// maxV4FormAge is the age at which the date of a form's signature is rejected: that of
// the signing key.
const maxV4FormAge = 7 * 24 * time.Hour

// setDialect sets the dialect of f from the fields of its signature. In S3's, the names
// of fields become lower-case, since they are not case-sensitive there.
func (f *postForm) setDialect() error {
	var native, v4, v2 bool
	for _, field := range f.fields {
		switch strings.ToLower(field.name) {
		case "q-signature", "q-sign-algorithm", "q-ak":
			native = true
		case "x-amz-signature", "x-amz-algorithm", "x-amz-credential":
			v4 = true
		case "awsaccesskeyid":
			v2 = true
		}
	}
	f.dialect = DialectCOS
	switch {
	case !v4 && !v2:
		return nil
	case native:
		return invalidArgument("the form has a signature of COS and one of S3")
	case v2:
		return notImplemented("AWS Signature Version 2 in forms; use Version 4")
	}
	f.dialect = DialectS3
	fields := f.fields
	f.fields = nil
	for _, field := range fields {
		name := strings.ToLower(field.name)
		switch {
		case f.fields.has(name):
			return invalidArgument("the form has the field %q twice", name)
		case strings.HasPrefix(name, "x-cos-"):
			return invalidArgument("the field %s has no meaning in a form with an AWS signature", name)
		}
		f.fields = append(f.fields, param{name, field.value})
	}
	return nil
}

// authenticateS3Form verifies the AWS signature of a form and checks the form against
// its policy ("Browser-Based Uploads Using POST (AWS Signature Version 4)", Amazon S3
// API Reference).
func (x *exchange) authenticateS3Form(f *postForm, bucket string) error {
	for _, name := range []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"} {
		if f.get(name) == "" {
			return invalidArgument("Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name)
		}
	}
	if f.get("x-amz-algorithm") != v4Algorithm {
		return invalidArgument("x-amz-algorithm must be %s", v4Algorithm)
	}
	secretID, scope, err := splitV4Credential(f.get("x-amz-credential"))
	if err != nil {
		return err
	}
	x.secretID = secretID
	creds := x.s.credentials.get(secretID)
	if creds == nil {
		return unknownSecretID()
	}
	sig := v4Signature{scope: scope, time: f.get("x-amz-date")}
	if err := sig.checkScope(x.s.options.Region); err != nil {
		return err
	}
	at, err := time.Parse(v4TimeFormat, sig.time)
	if err != nil || at.After(x.now.Add(maxSkew)) || at.Before(x.now.Add(-maxV4FormAge)) {
		return accessDenied("x-amz-date must be a time of the last 7 days, of the form %s", v4TimeFormat)
	}
	if subtle.ConstantTimeCompare([]byte(v4Sign(creds.SecretKey, scope, f.get("policy"))), []byte(f.get("x-amz-signature"))) != 1 {
		return v4Mismatch("The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	}
	if err := creds.checkS3Token(f.get("x-amz-security-token"), x); err != nil {
		return err
	}
	policy, err := base64.StdEncoding.DecodeString(f.get("policy"))
	if err != nil {
		return invalidPolicy("it is not base64")
	}
	x.rights = creds.rights
	return x.checkS3PostPolicy(f, policy, bucket)
}

// checkS3PostPolicy requires that every condition holds, and that every field has one.
func (x *exchange) checkS3PostPolicy(f *postForm, text []byte, bucket string) error {
	conditions, err := f.parsePostPolicy(text, x.now)
	if err != nil {
		return err
	}
	covered := map[string]bool{"policy": true, "x-amz-signature": true}
	for _, c := range conditions {
		name := strings.ToLower(c.name)
		value, present := f.get(name), f.fields.has(name)
		switch name {
		case "bucket":
			value, present = bucket, true
		case "key": // as the object will be called
			value = f.expandedKey()
		}
		if !present || !c.matches(value) {
			return accessDenied("Invalid according to Policy: Policy Condition failed: [%q, \"$%s\", %q]", c.operator, name, c.value)
		}
		covered[name] = true
	}
	for _, field := range f.fields {
		if !covered[field.name] && !strings.HasPrefix(field.name, "x-ignore-") {
			return accessDenied("Invalid according to Policy: Extra input fields: %s", field.name)
		}
	}
	return nil
}

// cosName returns the name at COS of the field with that name: x-cos-meta-a for
// x-amz-meta-a in S3's dialect.
func (f *postForm) cosName(name string) string {
	if rest, ok := strings.CutPrefix(name, "x-amz-"); ok && f.dialect == DialectS3 && listsName(s3Headers, rest) {
		return "x-cos-" + rest
	}
	return name
}

// rejectUnsupported fails on fields that change the meaning of the form and are not
// implemented.
func (f *postForm) rejectUnsupported() error {
	for _, field := range f.fields {
		rest, ok := strings.CutPrefix(field.name, "x-amz-")
		if field.name == "x-cos-forbid-overwrite" || ok && f.dialect == DialectS3 && listsName(s3Unsupported, rest) {
			return notImplemented(field.name)
		}
	}
	return nil
}

// tags returns the tags in the field tagging of S3's dialect, which is the XML of PUT
// Object tagging.
func (f *postForm) tags() ([]tagXML, error) {
	if f.dialect != DialectS3 || f.get("tagging") == "" {
		return nil, nil
	}
	var document taggingXML
	if xml.Unmarshal([]byte(f.get("tagging")), &document) != nil {
		return nil, cosErrorf(http.StatusBadRequest, "MalformedXML", "The field tagging is not the XML of PUT Object tagging.")
	}
	return document.Tags, checkTags(document.Tags)
}
