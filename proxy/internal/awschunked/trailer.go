package awschunked

import (
	"net/http"
	"slices"
	"strings"

	"cosproxy/proxy/internal/coserr"
	"cosproxy/proxy/internal/digest"
)

// trailerSignature is the name of the line that follows the trailers of a signed body.
const trailerSignature = "x-amz-trailer-signature"

// parseTrailer returns the names in x-amz-trailer, in lower case. S3 has no trailers except
// checksums.
func parseTrailer(names string) (trailers []string, err error) {
	for name := range strings.SplitSeq(names, ",") {
		name = strings.ToLower(strings.Trim(name, " \t"))
		if name == "" {
			continue
		}
		if digest.New(name) == nil || !strings.HasPrefix(name, "x-amz-checksum-") || slices.Contains(trailers, name) {
			return nil, coserr.New(http.StatusBadRequest, "InvalidRequest",
				"x-amz-trailer has an unsupported or repeated name. Send x-amz-checksum-crc32, -crc32c, -crc64nvme, -sha1 or -sha256.")
		}
		trailers = append(trailers, name)
	}
	return trailers, nil
}

// readTrailers parses everything after the last chunk header, and gives the sums their
// expected values. Every announced trailer must be there once, and no other. Lines may end
// with a bare LF, and another CR LF may follow it: clients of MinIO send that.
func (d *decoder) readTrailers(rest string) error {
	missing, signed := slices.Clone(d.trailers), !d.form.trailer
	for {
		line, after, ended := strings.Cut(rest, "\n")
		if !ended {
			return incomplete("after its last chunk")
		}
		line, hasCR := strings.CutSuffix(line, "\r")
		if line == "" {
			rest = after
			break
		}
		if !hasCR && len(after) > len("\r\n") {
			after = strings.TrimPrefix(after, "\r\n")
		}
		rest = after
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		if name == trailerSignature && !signed && len(missing) == 0 {
			if !d.form.signature.valid([]byte(value)) {
				return malformedTrailer("an invalid signature")
			}
			signed = true
			continue
		}
		i := slices.IndexFunc(missing, func(s *digest.Sum) bool { return s.Name() == name })
		if i < 0 {
			return malformedTrailer("a trailer that x-amz-trailer does not announce, or one twice")
		}
		if err := missing[i].Expect(value); err != nil {
			return err
		}
		missing = slices.Delete(missing, i, i+1)
	}
	switch {
	case rest != "":
		return malformedTrailer("bytes after its end")
	case len(missing) > 0:
		return malformedTrailer("no " + missing[0].Name() + ", which x-amz-trailer announces")
	case !signed:
		return malformedTrailer("no " + trailerSignature)
	}
	return nil
}

func malformedTrailer(what string) error {
	return coserr.New(http.StatusBadRequest, "MalformedTrailerError",
		"The aws-chunked body has %s; nothing was stored. Correct the coding in the S3 client.", what)
}
