package credcache

import (
	"context"
	"time"
)

// maxSleep bounds the timer of an idle scope. Timers stand still while a
// machine sleeps; the wall clock is looked at this often, so that a key which
// expired meanwhile is renewed soon after the machine wakes.
const maxSleep = time.Minute

// plan has the timer fetch at due; a zero due means never. p.mu is held.
func (p *Provider) plan(now, due time.Time) {
	p.due, p.ripe = due, time.Time{}
	if !due.IsZero() {
		p.ripe = time.Now().Add(due.Sub(now))
		p.arm(now)
	}
}

// arm sets the timer for what is planned, or for a look at the wall clock on
// the way. p.mu is held.
func (p *Provider) arm(now time.Time) {
	sleep := min(p.due.Sub(now), time.Until(p.ripe), maxSleep)
	if p.timer == nil {
		p.timer = time.AfterFunc(sleep, p.tick)
	} else {
		p.timer.Reset(sleep)
	}
}

func (p *Provider) tick() {
	if p.cache.ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	now, planned := p.cache.opts.now(), !p.due.IsZero()
	due := planned && (!now.Before(p.due) || p.isRipe())
	if planned && !due {
		p.arm(now)
	}
	p.mu.Unlock()
	if due {
		p.refresh(context.Background())
	}
}

// isRipe reports whether the planned fetch is due however the wall clock was
// set. p.mu is held.
func (p *Provider) isRipe() bool { return !p.ripe.IsZero() && !time.Now().Before(p.ripe) }
