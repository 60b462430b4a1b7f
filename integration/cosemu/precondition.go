package cosemu

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// conditions are the four preconditions of a download or of the source of a copy.
type conditions struct {
	match, noneMatch               string
	modifiedSince, unmodifiedSince string
}

func conditionsFrom(h http.Header) conditions {
	return conditions{
		match: h.Get("If-Match"), noneMatch: h.Get("If-None-Match"),
		modifiedSince: h.Get("If-Modified-Since"), unmodifiedSince: h.Get("If-Unmodified-Since"),
	}
}

// checkConditions fails with 412 or 304 if the object does not meet the preconditions.
// The order is that of RFC 9110, section 13.2.2.
func checkConditions(c conditions, o *object) error {
	modified := o.modified.Truncate(time.Second)
	if c.match != "" {
		if !matchesETag(c.match, o.etag) {
			return preconditionFailed()
		}
	} else if t, err := http.ParseTime(c.unmodifiedSince); err == nil && modified.After(t) {
		return preconditionFailed()
	}
	notModified := cosErrorf(http.StatusNotModified, "NotModified", "Not Modified")
	if c.noneMatch != "" {
		if matchesETag(c.noneMatch, o.etag) {
			return notModified
		}
	} else if t, err := http.ParseTime(c.modifiedSince); err == nil && !modified.After(t) {
		return notModified
	}
	return nil
}

// matchesETag reports whether the list contains etag, quoted or not.
func matchesETag(list, etag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for item := range strings.SplitSeq(list, ",") {
		if strings.Trim(strings.TrimSpace(item), `"`) == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}

// parseRange parses a Range header for an object of the given size. It ignores headers
// other than a single byte range, as RFC 9110 section 14.2 allows; a range outside the
// object is 416.
func parseRange(header string, size int64) (first, length int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	from, to, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, size, false, nil
	}
	last := size - 1
	if from == "" {
		n, parseErr := strconv.ParseUint(to, 10, 63)
		if parseErr != nil {
			return 0, size, false, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, false, invalidRange()
		}
		first = max(size-int64(n), 0)
		return first, size - first, true, nil
	}
	n, parseErr := strconv.ParseUint(from, 10, 63)
	if parseErr != nil {
		return 0, size, false, nil
	}
	if to != "" {
		end, parseErr := strconv.ParseUint(to, 10, 63)
		if parseErr != nil || end < n {
			return 0, size, false, nil
		}
		last = min(last, int64(end))
	}
	if first = int64(n); first >= size {
		return 0, 0, false, invalidRange()
	}
	return first, last - first + 1, true, nil
}

func invalidRange() *cosError {
	return cosErrorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range cannot be satisfied.")
}
