package smallfile

import "os"

// Hang replaces the opening of files until restore is called.
func Hang(opened func(path string)) (restore func()) {
	open = func(path string, flag int, mode os.FileMode) (*os.File, error) {
		opened(path)
		return os.OpenFile(path, flag, mode)
	}
	return func() { open = os.OpenFile }
}
