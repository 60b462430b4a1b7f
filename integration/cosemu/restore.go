package cosemu

import (
	"encoding/xml"
	"net/http"
	"time"
)

type restoreXML struct {
	XMLName xml.Name `xml:"RestoreRequest"`
	Days    int
	Tier    string `xml:"CASJobParameters>Tier"`
}

// maxRestoreDays is the maximum lifetime of a restored copy (POST Object restore).
const maxRestoreDays = 365

// restoreObject is POST Object restore. COS takes minutes or hours, the emulator no
// time.
func (x *exchange) restoreObject() error {
	var request restoreXML
	if err := x.readXML(&request); err != nil {
		return err
	}
	switch request.Tier {
	case "", "Expedited", "Standard", "Bulk":
	default:
		return malformedXML()
	}
	if request.Days < 1 || request.Days > maxRestoreDays {
		return invalidArgument("Days must be a number from 1 to %d", maxRestoreDays)
	}
	status := http.StatusAccepted
	err := x.bucket.change(x.key(), func(o *object) error {
		if !o.archiveClass() {
			return cosErrorf(http.StatusForbidden, "InvalidObjectState", "Restore is not allowed for the object's current storage class")
		}
		if o.restored.After(x.now) {
			status = http.StatusOK
		}
		o.restored = x.now.Add(time.Duration(request.Days) * 24 * time.Hour)
		return nil
	})
	if err != nil {
		return err
	}
	return x.writeEmpty(status)
}

// archiveClass reports whether objects of this storage class must be restored before
// they can be read.
func (o *object) archiveClass() bool {
	class := o.meta.storageClass()
	return class == "ARCHIVE" || class == "DEEP_ARCHIVE"
}

// needsRestore reports whether the object cannot be read at now.
func (o *object) needsRestore(now time.Time) bool { return o.archiveClass() && !o.restored.After(now) }

func invalidObjectState() *cosError {
	return cosErrorf(http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class")
}
