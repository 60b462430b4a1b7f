package cosemu

import "slices"

// ringSize is the number of values in a full ring.
const ringSize = 1024

// ring holds the last values added to it.
type ring[T any] struct {
	values []T
	oldest int // once full
}

func (r *ring[T]) add(v T) {
	if len(r.values) < ringSize {
		r.values = append(r.values, v)
		return
	}
	r.values[r.oldest] = v
	r.oldest = (r.oldest + 1) % ringSize
}

// all returns the values, oldest first.
func (r *ring[T]) all() []T { return slices.Concat(r.values[r.oldest:], r.values[:r.oldest]) }
