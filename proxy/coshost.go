package proxy

import (
	"net/http"
	"slices"
	"strings"
)

// Names of COS: <bucket>.<door>.<place>.<domain> for a bucket, without the
// bucket for the service (COS documents "Regions and access domain names" and
// "Global acceleration"). Not each combination is documented, but SDKs make them
// when they change over to the other domain, and all are Tencent's.
var (
	cosDomains = []string{".myqcloud.com", ".tencentcos.cn"}
	cosDoors   = []string{"cos", "cos-internal"}
)

// accelerate stands in the place of the region.
const accelerate = "accelerate"

// COSHosts are the names under which COS itself has the bucket. All of them lead
// to the route's endpoint, with neither PathPrefix nor KeyPrefix.
func (rt Route) COSHosts() []string {
	var all []string
	for _, domain := range cosDomains {
		for _, door := range cosDoors {
			for _, place := range []string{rt.Region, accelerate} {
				all = append(all, rt.Bucket+"."+door+"."+place+domain)
			}
		}
	}
	return all
}

// serviceHosts are the names of the service in a region, and of all regions.
func serviceHosts(region string) []string {
	var all []string
	for _, domain := range cosDomains {
		all = append(all, "service.cos"+domain)
		for _, door := range cosDoors {
			all = append(all, door+"."+region+domain)
		}
	}
	return all
}

// isCOSName reports whether only COS can mean anything by a name, as hostname
// spells it.
func isCOSName(name string) bool {
	return slices.ContainsFunc(cosDomains, func(domain string) bool { return strings.HasSuffix(name, domain) })
}

// misdirected refuses a Host that is none of ours. A bucket without a route must
// not end up in another one.
func misdirected(host string) error {
	name := hostname(host)
	if !isCOSName(name) {
		return errorf(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"The Host %q is not one that cosproxy answers to. Ask it as localhost, or add the name to COSPROXY_ALLOWED_HOSTS.", hostOf(host))
	}
	labels := strings.Split(name, ".")
	if len(labels) == 5 && slices.Contains(cosDoors, labels[1]) {
		return errorf(http.StatusMisdirectedRequest, "MisdirectedRequest",
			"No route leads to bucket %s in %s. Give it one with COSPROXY_BUCKET and COSPROXY_REGION, or beside others with COSPROXY_ROUTES_<n>_BUCKET.",
			hostOf(labels[0]), labels[2])
	}
	return errorf(http.StatusMisdirectedRequest, "MisdirectedRequest",
		"The Host %q is one of Tencent Cloud that no route leads to. cosproxy serves the buckets in COSPROXY_BUCKET or COSPROXY_ROUTES_<n>_BUCKET, under their own names.", hostOf(host))
}
