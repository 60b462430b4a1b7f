package cosemu

import (
	"encoding/xml"
	"errors"
	"net/http"
	"time"
)

// writeSlowly responds with the result of work. With COSFault.slow it sends 200 first
// and keeps the connection alive with spaces; an error of work then comes inside the
// 200, as with Complete and Copy at COS.
func (x *exchange) writeSlowly(work func() (any, error)) error {
	if x.fault.slow == 0 {
		result, err := work()
		if err != nil {
			return err
		}
		return x.writeXML(result)
	}
	x.setHeader("Content-Type", "application/xml")
	x.writeStatus(http.StatusOK)
	flush := http.NewResponseController(x.w).Flush
	for waited := time.Duration(0); waited < x.fault.slow; waited += keepAliveEvery {
		x.writeBody(" ")
		if flush() != nil || !x.s.faults.wait(x.r, keepAliveEvery) {
			panic(http.ErrAbortHandler)
		}
	}
	result, err := work()
	if err != nil {
		e := &cosError{}
		if !errors.As(err, &e) {
			e = cosErrorf(http.StatusInternalServerError, "InternalError", "%s", err)
		}
		x.writeBody(x.errorXML(e))
		return nil
	}
	text, err := xml.Marshal(result)
	if err != nil {
		return err
	}
	x.writeBody(xmlHeader + string(text))
	return nil
}

// keepAliveEvery is short, so that tests are fast.
const keepAliveEvery = 10 * time.Millisecond
