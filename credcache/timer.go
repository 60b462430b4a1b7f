package credcache

import (
	"context"
	"time"
)

// maxSleep limits the timer of an idle scope. Timers stop while a machine sleeps. Reading
// the wall clock this often makes the cache renew expired credentials soon after the
// machine wakes.
const maxSleep = time.Minute

// schedule sets the timer to fetch at due; a zero due means never. p.mu is held.
func (p *Provider) schedule(now, due time.Time) {
	p.due, p.dueMono = due, time.Time{}
	if !due.IsZero() && !p.retired {
		p.dueMono = time.Now().Add(due.Sub(now))
		p.arm(now)
	}
}

// arm sets the timer for the scheduled fetch, or for an earlier check of the wall clock.
// p.mu is held.
func (p *Provider) arm(now time.Time) {
	sleep := min(p.due.Sub(now), time.Until(p.dueMono), maxSleep)
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
	now, scheduled := p.cache.opts.now(), !p.due.IsZero() && !p.retired
	due := scheduled && (!now.Before(p.due) || p.isDue())
	if scheduled && !due {
		p.arm(now)
	}
	p.mu.Unlock()
	if due {
		p.refresh(context.Background())
	}
}

// isDue reports whether the scheduled fetch is due by the monotonic clock, which does not
// change when the wall clock is set. p.mu is held.
func (p *Provider) isDue() bool { return !p.dueMono.IsZero() && !time.Now().Before(p.dueMono) }
