package postpolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cosproxy/proxy/internal/coserr"
)

// parse parses the JSON document. It does not unmarshal into a struct: that ignores
// unknown and repeated names, and the letter case of names.
func parse(text []byte) (*Policy, error) {
	if !utf8.Valid(text) {
		return nil, invalid("it is not UTF-8")
	}
	members, ok := parseObject(text)
	if !ok {
		return nil, invalid("it is not a JSON object")
	}
	p := &Policy{MaxSize: math.MaxInt64}
	seen := map[string]bool{}
	for _, m := range members {
		if seen[m.name] {
			return nil, invalid("it has %q twice", coserr.Truncate(m.name))
		}
		seen[m.name] = true
		var err error
		switch m.name {
		case "expiration":
			p.Expiration, err = parseExpiration(m.value)
		case "conditions":
			err = p.addConditions(m.value)
		default:
			err = invalid("%q is neither expiration nor conditions", coserr.Truncate(m.name))
		}
		if err != nil {
			return nil, err
		}
	}
	if !seen["expiration"] || !seen["conditions"] {
		return nil, invalid("it has no expiration, or no conditions")
	}
	return p, nil
}

func parseExpiration(raw json.RawMessage) (time.Time, error) {
	text, ok := parseString(raw)
	at, err := time.Parse(time.RFC3339, text)
	if !ok || err != nil {
		return time.Time{}, invalid("the expiration %s is not a time such as 2030-12-31T12:00:00Z", coserr.Truncate(string(raw)))
	}
	return at, nil
}

func (p *Policy) addConditions(raw json.RawMessage) error {
	list, ok := parseArray(raw)
	if !ok {
		return invalid("its conditions are not an array")
	}
	for i, c := range list {
		if !p.add(c) { // c may contain a session token, so the error does not
			return invalid(`condition %d is not one of {"name": "value"}, ["eq", "$name", "value"], ["starts-with", "$name", "prefix"] and ["content-length-range", min, max]`, i+1)
		}
	}
	return nil
}

// add adds one condition. It returns false if the condition is not valid.
func (p *Policy) add(raw json.RawMessage) bool {
	if raw[0] == '{' {
		members, ok := parseObject(raw)
		if !ok || len(members) != 1 || members[0].name == "" {
			return false
		}
		value, ok := parseString(members[0].value)
		p.conditions = append(p.conditions, condition{equal, strings.ToLower(members[0].name), value})
		return ok
	}
	list, ok := parseArray(raw)
	if !ok || len(list) != 3 {
		return false
	}
	kind, ok := parseString(list[0])
	switch {
	case !ok:
		return false
	case kind == "content-length-range":
		return p.limit(list[1], list[2])
	case kind != string(equal) && kind != string(startsWith):
		return false
	}
	name, ok := parseString(list[1])
	value, isString := parseString(list[2])
	name, isField := strings.CutPrefix(name, "$")
	p.conditions = append(p.conditions, condition{operator(kind), strings.ToLower(name), value})
	return ok && isString && isField && name != ""
}

// limit adds a content-length-range. Several ranges all apply.
func (p *Policy) limit(minRaw, maxRaw json.RawMessage) bool {
	minSize, ok := parseSize(minRaw)
	maxSize, isSize := parseSize(maxRaw)
	p.MinSize, p.MaxSize = max(p.MinSize, minSize), min(p.MaxSize, maxSize)
	return ok && isSize && minSize <= maxSize
}

// parseSize parses a number of bytes. Some clients send it as a string.
func parseSize(raw json.RawMessage) (int64, bool) {
	text := string(raw)
	if s, ok := parseString(raw); ok {
		text = s
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}

// parseString parses a JSON string. The value null is not one.
func parseString(raw json.RawMessage) (s string, ok bool) {
	if raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

func parseArray(raw json.RawMessage) (list []json.RawMessage, ok bool) {
	if raw[0] != '[' {
		return nil, false
	}
	return list, json.Unmarshal(raw, &list) == nil
}

// member is a name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// parseObject returns the members of a JSON object, in order and with repeated names.
func parseObject(text []byte) ([]member, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, false
	}
	var members []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		m := member{name: name.(string)} // the decoder accepts no other name
		if d.Decode(&m.value) != nil {
			return nil, false
		}
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, false
	}
	_, err := d.Token()
	return members, errors.Is(err, io.EOF)
}
