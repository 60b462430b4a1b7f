package cosemu

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

type bucketsXML struct {
	XMLName     xml.Name `xml:"ListAllMyBucketsResult"`
	Owner       ownerXML
	Buckets     []bucketXML `xml:"Buckets>Bucket"`
	IsTruncated bool
	Marker      string
	NextMarker  string `xml:",omitempty"`
}

type bucketXML struct{ Name, Location, CreationDate string }

// serviceAction returns the action of a request at the service, or "".
func serviceAction(method string, t target) string {
	if method == http.MethodGet && t.path == "/" {
		return "GetService"
	}
	return ""
}

// service handles the hosts without a bucket.
func (x *exchange) service() error {
	if err := x.verifyPayload(); err != nil {
		return err
	}
	if x.action == "" {
		return notImplemented(x.r.Method + " at the service, other than GET /")
	}
	if err := x.requireAllowed(x.action, "", ""); err != nil {
		return err
	}
	return x.getService()
}

func (x *exchange) getService() error {
	names := slices.Sorted(maps.Keys(x.s.store.buckets))
	result := bucketsXML{Owner: owner(names[0]), Marker: x.query.get("marker")}
	limit := maxListed
	if text := x.query.get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return invalidArgument("max-keys must be a number from 1 to %d", maxListed)
		}
		limit = min(n, maxListed)
	}
	if region := x.query.get("region"); region != "" && region != x.s.options.Region {
		names = nil
	}
	for _, name := range names {
		switch {
		case name <= result.Marker:
			continue
		case len(result.Buckets) == limit:
			result.IsTruncated, result.NextMarker = true, result.Buckets[limit-1].Name
			return x.writeXML(result)
		}
		result.Buckets = append(result.Buckets, bucketXML{name, x.s.options.Region, xmlTime(x.s.started)})
	}
	return x.writeXML(result)
}
