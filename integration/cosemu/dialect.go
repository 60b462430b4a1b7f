package cosemu

import (
	"net/http"
	"slices"
	"strings"
)

// Dialect is the protocol of a request at COS. Its signature decides it.
type Dialect string

const (
	// DialectCOS is the XML API of COS with COS's own signature. Unsigned requests
	// belong to it.
	DialectCOS Dialect = "cos"
	// DialectS3 is the S3-compatible API of COS with AWS Signature Version 4.
	DialectS3 Dialect = "s3"
)

// dialectOf returns the dialect of r, which must not have signatures of several ones.
func dialectOf(r *http.Request, query params) (Dialect, error) {
	var native, v4, v2 bool
	for _, value := range r.Header["Authorization"] {
		switch {
		case strings.HasPrefix(value, "AWS4-"):
			v4 = true
		case strings.HasPrefix(value, "AWS "):
			v2 = true
		default:
			native = true
		}
	}
	for _, p := range query {
		switch strings.ToLower(p.name) {
		case "q-sign-algorithm", "q-signature":
			native = true
		case "x-amz-algorithm", "x-amz-credential", "x-amz-signature":
			v4 = true
		case "awsaccesskeyid":
			v2 = true
		}
	}
	switch {
	case native && (v4 || v2):
		return DialectS3, invalidArgument("the request has a signature of COS and one of S3")
	case v2:
		return DialectS3, notImplemented("AWS Signature Version 2; use Version 4")
	case v4:
		return DialectS3, nil
	}
	return DialectCOS, nil
}

// nameRequestID gives the request ID a second name in S3's dialect: clients of S3 read
// one, and those of COS recognize COS by the other.
func (x *exchange) nameRequestID() {
	if x.dialect == DialectS3 {
		x.setHeader("x-amz-request-id", x.requestID)
	}
}

// cosOnlyHeaders are the response headers of COS that keep their names in S3's dialect.
// All others that begin with x-cos- begin with x-amz- there: a public live test of COS
// sees x-amz-force-download for x-cos-force-download.
var cosOnlyHeaders = []string{
	"x-cos-content-sha1", "x-cos-hash-crc64ecma", "x-cos-next-append-position", "x-cos-object-type",
	"x-cos-request-id", "x-cos-trace-id",
}

// s3ResponseName returns the name of a response header in S3's dialect.
func s3ResponseName(name string) string {
	rest, ok := strings.CutPrefix(name, "x-cos-")
	if !ok || slices.Contains(cosOnlyHeaders, name) {
		return name
	}
	return "x-amz-" + rest
}

// s3Headers are the x-amz-* headers with the meaning of the x-cos-* header of the same
// name. A name that ends in "-" is a prefix.
var s3Headers = []string{
	"acl", "copy-source", "copy-source-if-", "copy-source-range", "copy-source-server-side-encryption-customer-",
	"grant-", "meta-", "metadata-directive", "server-side-encryption", "server-side-encryption-", "storage-class",
	"tagging", "tagging-directive", "version-id", "website-redirect-location",
}

// s3Unsupported are x-amz-* headers that change the meaning of a request and that COS
// does not document. A name that ends in "-" is a prefix.
var s3Unsupported = []string{
	"bypass-governance-retention", "expected-bucket-owner", "mfa", "object-lock-", "rename-source", "request-payer",
	"source-expected-bucket-owner", "write-offset-bytes",
}

// s3Subresources are sub-resources of S3 that COS does not have. COS would take such a
// request for one about the object or bucket itself.
var s3Subresources = []string{
	"abac", "analytics", "attributes", "metadataConfiguration", "metadataTable", "metrics", "ownershipControls",
	"policyStatus", "publicAccessBlock", "renameObject", "requestPayment", "session", "torrent",
}

// listsName reports whether list contains name or a prefix of it.
func listsName(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		return entry == name || strings.HasSuffix(entry, "-") && strings.HasPrefix(name, entry)
	})
}

// translateS3 gives x the x-cos-* headers that its x-amz-* headers mean. Parameters that
// begin with x-amz- count as headers: presigned URLs of SDKs have them, and parseV4 refuses
// them in other requests. Other
// x-amz-* headers, such as checksums, have no meaning at COS.
func (x *exchange) translateS3() error {
	out := http.Header{}
	add := func(name string, values []string) error {
		rest, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-")
		switch {
		case !ok:
			out[name] = values
		case listsName(s3Unsupported, rest):
			return notImplemented("x-amz-" + rest)
		case listsName(s3Headers, rest):
			values, err := x.translateValues(rest, values)
			if err != nil {
				return err
			}
			key := http.CanonicalHeaderKey("x-cos-" + rest)
			if out[key] != nil {
				return invalidArgument("x-amz-%s is a header and a parameter", rest)
			}
			out[key] = values
		}
		return nil
	}
	for name, values := range x.r.Header {
		if err := add(name, values); err != nil {
			return err
		}
	}
	for _, p := range x.query {
		if !strings.HasPrefix(strings.ToLower(p.name), "x-amz-") {
			continue
		}
		if err := add(p.name, []string{p.value}); err != nil {
			return err
		}
	}
	x.r = x.r.WithContext(x.r.Context()) // the record keeps the original
	x.r.Header = out
	return nil
}

// translateValues returns the values of the header x-amz-<name> in COS's form.
func (x *exchange) translateValues(name string, values []string) ([]string, error) {
	switch name {
	case "copy-source":
		source, err := x.translateCopySource(values[0])
		return []string{source}, err
	case "metadata-directive", "tagging-directive":
		switch values[0] {
		case "COPY":
			return []string{"Copy"}, nil
		case "REPLACE":
			return []string{"Replaced"}, nil
		}
		return nil, invalidArgument("x-amz-%s must be COPY or REPLACE", name)
	}
	return values, nil
}

// translateCopySource turns [/]<bucket>/<key>, of which S3 permits any part to be
// percent-encoded, into <bucket host>/<key>.
func (x *exchange) translateCopySource(value string) (string, error) {
	value = strings.TrimPrefix(strings.TrimPrefix(value, "/"), "%2F")
	separator, length := strings.IndexByte(value, '/'), 1
	if i := strings.Index(strings.ToUpper(value), "%2F"); i >= 0 && (separator < 0 || i < separator) {
		separator, length = i, 3
	}
	if separator <= 0 || separator+length == len(value) {
		return "", invalidArgument("x-amz-copy-source must be <bucket>/<URL-encoded key>")
	}
	return value[:separator] + ".cos." + x.s.options.Region + ".myqcloud.com/" + value[separator+length:], nil
}

// rejectS3Unsupported fails on what S3's dialect of the emulator does not implement.
func (x *exchange) rejectS3Unsupported() error {
	for _, name := range s3Subresources {
		if x.query.has(name) {
			return notImplemented(x.r.Method + " ?" + name)
		}
	}
	reads := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	switch {
	case reads && x.query.has("partNumber"):
		return notImplemented(x.r.Method + " ?partNumber")
	case !reads && (x.r.Header["If-Match"] != nil || x.r.Header["If-None-Match"] != nil):
		return notImplemented("conditions on " + x.r.Method)
	}
	return nil
}
