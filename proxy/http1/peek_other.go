//go:build !unix

package http1

// readable cannot be told here; a dead connection shows when it is used.
func (s *stream) readable() bool { return false }
