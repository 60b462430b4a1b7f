package cosreq

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Host names of COS: <bucket>.<service>.<region>.<domain> for a bucket, and the same
// without <bucket>. for the service (COS documents "Regions and access domain names" and
// "Global acceleration"). Not all combinations are documented, but SDKs use them when they
// fail over to the other domain, and Tencent owns all of them.
var (
	cosDomains  = []string{".myqcloud.com", ".tencentcos.cn"}
	cosServices = []string{"cos", "cos-internal"}
)

// accelerate replaces the region in the hosts of global acceleration.
const accelerate = "accelerate"

// BucketHosts returns the host names of a bucket.
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

// ServiceHosts returns the host names of the service, for one region and for all regions.
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

// RegionHost returns the public host name of the service in a region.
func RegionHost(region string) string { return "cos." + region + cosDomains[0] }

// SplitBucketHost returns the bucket and the region, or accelerate, in a host name of a
// bucket, normalized by Hostname. ok is false for any other name.
func SplitBucketHost(name string) (bucket, region string, ok bool) {
	labels := strings.Split(name, ".")
	if !IsCOSName(name) || len(labels) != 5 || !slices.Contains(cosServices, labels[1]) {
		return "", "", false
	}
	return labels[0], labels[2], true
}

// IsCOSName reports whether a host name, normalized by Hostname, is in a domain of COS.
func IsCOSName(name string) bool {
	for _, domain := range cosDomains {
		if strings.HasSuffix(name, domain) {
			return true
		}
	}
	return false
}

// CopySourceHost returns the documented host of a bucket in x-cos-copy-source (COS document
// "PUT Object - Copy").
func CopySourceHost(bucket, region string) string {
	return bucket + ".cos." + region + cosDomains[0]
}

// TrimSourceOrigin removes an http or https scheme, or one slash, from the beginning of
// x-cos-copy-source. Some clients send these before <host>/<key>.
func TrimSourceOrigin(source string) string {
	if scheme, rest, found := strings.Cut(source, "://"); found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
		return rest
	}
	return strings.TrimPrefix(source, "/")
}

// Hostname normalizes a Host: lower case, without port, brackets of an IPv6 literal, and
// final dot of an absolute name. Text after a colon that is not a port stays, so that the
// result equals no valid name. Hostname does not allocate if nothing changes case.
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

// IsLoopback reports whether a name, normalized by Hostname, is localhost or a loopback
// address.
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
