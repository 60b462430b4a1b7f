package cosemu

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// conditionValues maps condition keys to the values of a request. A key of
// conditionKeys that is missing was not in the request.
type conditionValues map[string]string

// conditionKeys are the condition keys that the emulator knows, with the parameter or
// header of each.
var conditionKeys = map[string]struct{ param, header string }{
	"cos:prefix":                {param: "prefix"},
	"cos:delimiter":             {param: "delimiter"},
	"cos:max-keys":              {param: "max-keys"},
	"cos:response-content-type": {param: "response-content-type"},
	"cos:versionid":             {param: "versionId"},
	"cos:content-type":          {header: "Content-Type"},
	"cos:content-length":        {header: "Content-Length"},
	"cos:x-cos-acl":             {header: "X-Cos-Acl"},
	"cos:x-cos-storage-class":   {header: "X-Cos-Storage-Class"},
	"qcs:ip":                    {},
}

func (p *policy) hasConditions() bool {
	return slices.ContainsFunc(p.Statement, func(st statement) bool { return len(st.Condition) > 0 })
}

// collectConditionValues reads the condition values of a request. Parameters are
// URL-encoded, as the document on condition keys asks for those of policies, unless
// plain is set; headers are not.
func collectConditionValues(header http.Header, query params, plain bool) conditionValues {
	f := conditionValues{}
	for key, from := range conditionKeys {
		if from.param != "" && query.has(from.param) {
			f[key] = query.get(from.param)
			if !plain {
				f[key] = escape(f[key])
			}
		}
		if values := header[from.header]; from.header != "" && len(values) > 0 {
			f[key] = values[0]
		}
	}
	return f
}

// conditionHolds reports whether every condition of st holds, and whether the emulator
// knows them all. An unknown condition does not hold. If the request lacks the key, an
// operator with _if_exist is true and one without is false, even a negated one
// ("Conditions", 436/46205).
func (st statement) conditionHolds(f conditionValues) (holds, known bool) {
	holds, known = true, true
	for operator, operands := range st.Condition {
		operator, ifExist := strings.CutSuffix(operator, "_if_exist")
		test := conditionTests[operator]
		for key, wanted := range operands {
			if _, knownKey := conditionKeys[key]; test == nil || !knownKey {
				holds, known = false, false
				continue
			}
			value, present := f[key]
			switch {
			case !present && ifExist:
			case !present || !test(value, wanted):
				holds = false
			}
		}
	}
	return holds, known
}

// conditionTests are the operators of COS ("Conditions", 436/46205), and string_like
// of CAM. Text is case-sensitive.
var conditionTests = map[string]func(value string, wanted operand) bool{
	"string_equal":               anyOf(equalText),
	"string_not_equal":           noneOf(equalText),
	"string_like":                anyOf(likeText),
	"ip_equal":                   anyOf(inNetwork),
	"ip_not_equal":               noneOf(inNetwork),
	"numeric_equal":              anyOf(compare(func(v, w int64) bool { return v == w })),
	"numeric_not_equal":          noneOf(compare(func(v, w int64) bool { return v == w })),
	"numeric_less_than":          anyOf(compare(func(v, w int64) bool { return v < w })),
	"numeric_less_than_equal":    anyOf(compare(func(v, w int64) bool { return v <= w })),
	"numeric_greater_than":       anyOf(compare(func(v, w int64) bool { return v > w })),
	"numeric_greater_than_equal": anyOf(compare(func(v, w int64) bool { return v >= w })),
}

type conditionTest func(value, wanted string) bool

func anyOf(test conditionTest) func(string, operand) bool {
	return func(value string, wanted operand) bool {
		return slices.ContainsFunc(wanted, func(w string) bool { return test(value, w) })
	}
}

func noneOf(test conditionTest) func(string, operand) bool {
	some := anyOf(test)
	return func(value string, wanted operand) bool { return !some(value, wanted) }
}

func equalText(value, wanted string) bool { return value == wanted }

// likeText treats "*" at either end of wanted as any text, and literally elsewhere.
func likeText(value, wanted string) bool {
	middle, before := strings.CutPrefix(wanted, "*")
	middle, after := strings.CutSuffix(middle, "*")
	switch {
	case before && after:
		return strings.Contains(value, middle)
	case before:
		return strings.HasSuffix(value, middle)
	case after:
		return strings.HasPrefix(value, middle)
	}
	return value == wanted
}

func inNetwork(value, wanted string) bool {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	if network, err := netip.ParsePrefix(wanted); err == nil {
		return network.Contains(addr.Unmap())
	}
	single, err := netip.ParseAddr(wanted)
	return err == nil && single == addr.Unmap()
}

func compare(holds func(value, wanted int64) bool) conditionTest {
	return func(value, wanted string) bool {
		v, errValue := strconv.ParseInt(value, 10, 64)
		w, errWanted := strconv.ParseInt(wanted, 10, 64)
		return errValue == nil && errWanted == nil && holds(v, w)
	}
}
