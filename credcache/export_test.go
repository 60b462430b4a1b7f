package credcache

import "time"

// WithNow returns o with another wall clock.
func (o Options) WithNow(now func() time.Time) Options {
	o.now = now
	return o
}

// WithRand returns o with another source of jitter.
func (o Options) WithRand(rand func() float64) Options {
	o.rand = rand
	return o
}

// HasRand reports whether WithRand was called.
func (o Options) HasRand() bool { return o.rand != nil }
