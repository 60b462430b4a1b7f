//go:build !unix

package http1

// peeker does nothing on this platform. A closed connection is detected when it is used.
type peeker struct{}

func newPeeker(any) *peeker { return &peeker{} }

// peek returns inputNone.
func (*peeker) peek() idleInput { return inputNone }
