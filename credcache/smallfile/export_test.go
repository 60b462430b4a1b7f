package smallfile

import "os"

// ErrNotRegular is errNotRegular.
var ErrNotRegular = errNotRegular

// OnOpen calls opening before each file is opened, until restore is called.
func OnOpen(opening func(path string)) (restore func()) {
	openFile = func(path string, flag int, mode os.FileMode) (*os.File, error) {
		opening(path)
		return os.OpenFile(path, flag, mode)
	}
	return func() { openFile = os.OpenFile }
}

// Locks returns the number of paths that are being read.
func Locks() int {
	locksMu.Lock()
	defer locksMu.Unlock()
	return len(locks)
}
