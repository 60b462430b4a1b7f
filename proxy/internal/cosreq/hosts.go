package cosreq

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Names of COS: <bucket>.<service>.<region>.<domain> for a bucket, without the bucket
// for the service (COS documents "Regions and access domain names" and "Global
// acceleration"). Not each combination is documented, but SDKs make them when they
// change over to the other domain, and all are Tencent's.
var (
	cosDomains  = []string{".myqcloud.com", ".tencentcos.cn"}
	cosServices = []string{"cos", "cos-internal"}
)

// accelerate takes the place of the region.
const accelerate = "accelerate"

// BucketHosts returns the names under which COS has a bucket.
func BucketHosts(bucket, region string) []string {
	var all []string
	for _, domain := range cosDomains {
		for _, service := range cosServices {
			for _, location := range []string{region, accelerate} {
				all = append(all, bucket+"."+service+"."+location+domain)
			}
		}
	}
	return all
}

// ServiceHosts returns the names of the service in a region, and of all regions.
func ServiceHosts(region string) []string {
	var all []string
	for _, domain := range cosDomains {
		all = append(all, "service.cos"+domain)
		for _, service := range cosServices {
			all = append(all, service+"."+region+domain)
		}
	}
	return all
}

// SplitBucketHost returns the bucket and the region, or accelerate, in a name of COS
// for a bucket, as Hostname spells it. ok is false for any other name.
func SplitBucketHost(name string) (bucket, region string, ok bool) {
	labels := strings.Split(name, ".")
	if !IsCOSName(name) || len(labels) != 5 || !slices.Contains(cosServices, labels[1]) {
		return "", "", false
	}
	return labels[0], labels[2], true
}

// IsCOSName reports whether a name, as Hostname spells it, is one of COS's.
func IsCOSName(name string) bool {
	for _, domain := range cosDomains {
		if strings.HasSuffix(name, domain) {
			return true
		}
	}
	return false
}

// CopySourceHost returns the host that x-cos-copy-source is documented to have for a
// bucket (COS document "PUT Object - Copy").
func CopySourceHost(bucket, region string) string {
	return bucket + ".cos." + region + cosDomains[0]
}

// TrimSourceOrigin removes what clients write in front of <host>/<key> in
// x-cos-copy-source: an http or https scheme, or one slash.
func TrimSourceOrigin(source string) string {
	if scheme, rest, found := strings.Cut(source, "://"); found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
		return rest
	}
	return strings.TrimPrefix(source, "/")
}

// Hostname returns the name in a Host in one spelling: lower case, without the port,
// the brackets of an IPv6 literal and the dot that ends an absolute name. What
// follows a colon and is not a port stays, so that it equals no name. A name that is
// in this spelling is not copied.
func Hostname(hostport string) string {
	name := hostport
	if strings.Contains(name, ":") {
		host, port, err := net.SplitHostPort(name)
		if err == nil && strings.Trim(port, "0123456789") == "" {
			name = host
		} else if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
			name = strings.TrimSuffix(inner, "]")
		}
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

// IsLoopback reports whether a name, as Hostname spells it, is localhost or a
// loopback address.
func IsLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	if name == "" || name[0] > '9' && !strings.Contains(name, ":") { // not an address; ParseAddr would allocate an error
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.IsLoopback()
}
