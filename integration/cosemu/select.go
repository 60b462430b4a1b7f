package cosemu

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"unicode/utf8"
)

type selectXML struct {
	XMLName        xml.Name `xml:"SelectRequest"`
	Expression     string
	ExpressionType string
	Input          struct {
		CompressionType string
		CSV             *struct {
			FileHeaderInfo, FieldDelimiter string
		}
	} `xml:"InputSerialization"`
	Output struct {
		CSV *struct {
			FieldDelimiter string
		}
	} `xml:"OutputSerialization"`
}

// selectAll matches the supported SQL.
var selectAll = regexp.MustCompile(`(?i)^\s*select\s+\*\s+from\s+cosobject(?:\s+limit\s+([0-9]{1,9}))?\s*;?\s*$`)

// selectContent is SELECT Object Content, in the framing of COS, for all or the first
// records of a CSV object. It does not implement other SQL and JSON.
func (x *exchange) selectContent() error {
	var request selectXML
	if err := x.readXML(&request); err != nil {
		return err
	}
	sql := selectAll.FindStringSubmatch(request.Expression)
	in, out := request.Input.CSV, request.Output.CSV
	if sql == nil || request.ExpressionType != "SQL" || in == nil || out == nil ||
		request.Input.CompressionType != "" && request.Input.CompressionType != "NONE" {
		return notImplemented("SELECT other than \"SELECT * FROM COSObject [LIMIT n]\" from plain CSV to CSV")
	}
	limit := -1
	if sql[1] != "" {
		limit, _ = strconv.Atoi(sql[1]) // nine digits at most
	}
	o, body, err := x.bucket.get(x.key())
	switch {
	case err != nil:
		return err
	case o == nil:
		return noSuchKey()
	}
	defer body.close()
	if o.needsRestore(x.now) {
		return invalidObjectState()
	}
	records := csv.NewReader(body)
	records.FieldsPerRecord = -1
	records.Comma = delimiter(in.FieldDelimiter)
	if in.FileHeaderInfo == "USE" || in.FileHeaderInfo == "IGNORE" {
		if _, err := records.Read(); err != nil && !errors.Is(err, io.EOF) {
			return cosErrorf(http.StatusBadRequest, "InvalidTextEncoding", "The object is not CSV: %v", err)
		}
	}
	x.setHeader("Content-Type", "application/octet-stream")
	x.writeStatus(http.StatusOK)
	return x.sendRecords(records, delimiter(out.FieldDelimiter), limit)
}

func delimiter(text string) rune {
	if text == "" {
		return ','
	}
	r, _ := utf8.DecodeRuneInString(text)
	return r
}

// maxRecords is the size in bytes at which sendRecords sends a frame of records.
const maxRecords = 64 << 10

// sendRecords sends at most limit records, or all if limit is negative, and then the
// end.
func (x *exchange) sendRecords(records *csv.Reader, comma rune, limit int) error {
	var text bytes.Buffer
	out := csv.NewWriter(&text)
	out.Comma = comma
	returned := 0
	flush := func() {
		if out.Flush(); text.Len() > 0 {
			x.writeBody(frame(text.Bytes(), ":message-type", "event", ":event-type", "Records", ":content-type", "application/octet-stream"))
			returned += text.Len()
			text.Reset()
		}
	}
	for ; limit != 0; limit-- {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			flush()
			x.writeBody(frame(nil, ":message-type", "error", ":error-code", "CSVParsingError", ":error-message", err.Error()))
			return nil
		}
		if err := out.Write(record); err != nil {
			return err
		}
		if out.Flush(); text.Len() >= maxRecords {
			flush()
		}
	}
	flush()
	scanned := records.InputOffset()
	stats := fmt.Sprintf("<Stats><BytesScanned>%d</BytesScanned><BytesProcessed>%[1]d</BytesProcessed><BytesReturned>%d</BytesReturned></Stats>", scanned, returned)
	x.writeBody(frame([]byte(stats), ":message-type", "event", ":event-type", "Stats", ":content-type", "text/xml"))
	x.writeBody(frame(nil, ":message-type", "event", ":event-type", "End"))
	return nil
}

// frame encodes a message of the response to SELECT: both lengths and their CRC-32,
// the headers by name and value, the payload, and the CRC-32 of all (COS document
// "SELECT Object Content", response body).
//
//nolint:gosec // headers come in pairs and are short, payloads are a few KiB
func frame(payload []byte, headers ...string) string {
	const text = 7 // the type of header values
	var head []byte
	for i := 0; i < len(headers); i += 2 {
		name, value := headers[i], headers[i+1]
		head = append(append(head, byte(len(name))), name...)
		head = binary.BigEndian.AppendUint16(append(head, text), uint16(len(value)))
		head = append(head, value...)
	}
	const framing = 4 + 4 + 4 + 4
	message := binary.BigEndian.AppendUint32(nil, uint32(framing+len(head)+len(payload)))
	message = binary.BigEndian.AppendUint32(message, uint32(len(head)))
	message = binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(message))
	message = append(append(message, head...), payload...)
	return string(binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(message)))
}
