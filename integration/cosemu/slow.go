package cosemu

import (
	"encoding/xml"
	"errors"
	"net/http"
	"time"
)

// slowly answers with the result of work. Under COSFault.Slow it answers 200
// first and keeps the connection alive with spaces, and an error of work comes
// inside the 200, as COS does with Complete and Copy.
func (x *exchange) slowly(work func() (any, error)) error {
	if x.fault.Slow == 0 {
		result, err := work()
		if err != nil {
			return err
		}
		return x.xml(result)
	}
	x.set("Content-Type", "application/xml")
	x.answer(http.StatusOK)
	flush := http.NewResponseController(x.w).Flush
	for waited := time.Duration(0); waited < x.fault.Slow; waited += keepAliveEvery {
		x.body(" ")
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
		x.body(x.errorXML(e))
		return nil
	}
	text, err := xml.Marshal(result)
	if err != nil {
		return err
	}
	x.body(xmlHeader + string(text))
	return nil
}

// keepAliveEvery is short, since tests wait for it.
const keepAliveEvery = 10 * time.Millisecond
