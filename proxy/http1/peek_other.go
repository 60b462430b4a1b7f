//go:build !unix

package http1

// peeker cannot look here; what has arrived shows when the connection is used.
type peeker struct{}

func newPeeker(any) *peeker { return &peeker{} }

func (*peeker) peek() arrival { return nothing }
