package s3req

import (
	"net/http"
	"strings"

	"cosproxy/proxy/internal/coserr"
)

// Use says what cosproxy does with an x-amz-* header field of a client.
type Use int

// The uses of a field.
const (
	// Missing means that COS is not known to support the field.
	Missing Use = iota
	// Forward means that the field is signed and sent to COS.
	Forward
	// Consume means that cosproxy itself uses the field: the client's signature, the coding
	// and the checksums of the body.
	Consume
	// Ignore means that the field does not change what is stored or returned, that it is one
	// of responses (s3cmd sends those of a HEAD back when it modifies an object), or that it
	// is a condition which SDKs add by default and COS cannot check: mp-object-size.
	Ignore
)

// Prefix begins the names of all fields of S3.
const Prefix = "x-amz-"

// Names of fields, in lower case.
const (
	ContentSHA256  = "x-amz-content-sha256"
	DecodedLength  = "x-amz-decoded-content-length"
	Trailer        = "x-amz-trailer"
	CopySource     = "x-amz-copy-source"
	ChecksumPrefix = "x-amz-checksum-"

	metaPrefix  = "x-amz-meta-"
	grantPrefix = "x-amz-grant-"
)

// uses are the uses of fields by the rest of their name. Those that are forwarded have an
// equal with x-cos- in the COS documents.
var uses = useTable(map[Use]string{
	Forward: `acl storage-class tagging tagging-directive metadata-directive
		copy-source copy-source-range copy-source-if-match copy-source-if-none-match
		copy-source-if-modified-since copy-source-if-unmodified-since
		copy-source-server-side-encryption-customer-algorithm
		copy-source-server-side-encryption-customer-key
		copy-source-server-side-encryption-customer-key-md5
		server-side-encryption server-side-encryption-customer-algorithm
		server-side-encryption-customer-key server-side-encryption-customer-key-md5
		website-redirect-location`,
	Consume: `algorithm credential date expires signedheaders signature security-token
		content-sha256 decoded-content-length trailer sdk-checksum-algorithm
		checksum-algorithm checksum-type checksum-crc32 checksum-crc32c
		checksum-crc64nvme checksum-sha1 checksum-sha256`,
	Ignore: `mp-object-size user-agent checksum-mode request-payer te optional-object-attributes object-attributes
		api-version request-id id-2 version-id tagging-count delete-marker expiration
		restore replication-status mp-parts-count`,
})

func useTable(words map[Use]string) map[string]Use {
	table := make(map[string]Use)
	for use, names := range words {
		for name := range setOf(names) {
			table[Prefix+name] = use
		}
	}
	return table
}

// FieldUse returns the use of a field whose name, in any case, begins with Prefix. It does
// not allocate for known names.
func FieldUse(name []byte) Use {
	var buf [64]byte
	if len(name) > len(buf) {
		if hasPrefixFold(name, metaPrefix) {
			return Forward
		}
		return Missing
	}
	lower := buf[:len(name)]
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	if use, ok := uses[string(lower)]; ok {
		return use
	}
	if hasPrefixFold(name, metaPrefix) || hasPrefixFold(name, grantPrefix) {
		return Forward
	}
	return Missing
}

func hasPrefixFold(name []byte, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(string(name[:len(prefix)]), prefix)
}

// MissingFieldError returns 501 NotImplemented for a field that COS is not known to support.
func MissingFieldError(name string) error {
	return coserr.New(http.StatusNotImplemented, "NotImplemented",
		"COS does not document the S3 header %s, and may ignore it. Remove the header, or turn off this feature in the client.", coserr.Truncate(name))
}

// CheckValue rejects values that COS does not document: of server-side encryption, all
// except AES256.
func CheckValue(name, value []byte) error {
	if strings.EqualFold(string(name), "x-amz-server-side-encryption") && string(value) != "AES256" {
		return coserr.New(http.StatusNotImplemented, "NotImplemented",
			"COS documents x-amz-server-side-encryption only with AES256. Use AES256, or turn off encryption in the client.")
	}
	return nil
}

// DecodedEncoding returns Content-Encoding without aws-chunked. found reports whether it had
// it. Empty means that no coding is left.
func DecodedEncoding(value string) (rest string, found bool) {
	var kept []string
	for coding := range strings.SplitSeq(value, ",") {
		switch coding = strings.TrimSpace(coding); {
		case strings.EqualFold(coding, ChunkedCoding):
			found = true
		case coding != "":
			kept = append(kept, coding)
		}
	}
	if !found {
		return value, false
	}
	return strings.Join(kept, ","), true
}

// ChunkedCoding is the content coding of bodies in signed or checksummed chunks (AWS
// document "Transferring payload in multiple chunks").
const ChunkedCoding = "aws-chunked"
